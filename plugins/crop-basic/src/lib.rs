//! Crops by what a picture looks like: `center`, `entropy`, `attention`, and `thirds`, which also asks who is in it.

pub mod attention;
pub mod center;
pub mod entropy;
pub mod thirds;

breakwater_guest::export_crop_plugin!(center::Center, entropy::Entropy, attention::Attention, thirds::Thirds);
