//! Transformers for images and text: definitions, weights and fused kernels for the CPU.
