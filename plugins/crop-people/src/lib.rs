//! Crops around who and what is in the picture: `center_faces`, `portrait`, `subjects`.

mod offset;

pub mod center_faces;
pub mod portrait;
pub mod subjects;

breakwater_guest::export_crop_plugin!(center_faces::CenterFaces, portrait::Portrait, subjects::Subjects);
