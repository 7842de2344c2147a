//! Decode, resize, crop, encode, saliency. Pure and synchronous.
