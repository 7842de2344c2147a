//! Names of results in an archive: those of their sources, each once.

use std::collections::{HashMap, HashSet};

/// The longest name, in bytes: what unpacks archives makes files of them.
const MAX_NAME: usize = 240;

/// Gives each name once.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number that the next result of a name gets, so that a list of one name only does not try them all each time.
    next: HashMap<String, u64>,
}

impl Names {
    /// `photos/a.png` with the end `jpg` is `photos/a.jpg`, and `photos/a-2.jpg` where that is taken. Nothing of a name leads out of the folder
    /// that it is unpacked into.
    pub(super) fn of(&mut self, image_path: &str, end: &str) -> String {
        let parts: Vec<String> = image_path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).map(plain).collect();
        let path = parts.join("/");
        let stem = match path.rsplit_once('.') {
            Some((stem, end)) if !end.contains('/') && !stem.is_empty() && !stem.ends_with('/') => stem,
            _ => &path,
        };
        let stem = if stem.is_empty() { "image" } else { shortened(stem) };
        // File systems that know no case would write one over the other.
        let number = self.next.entry(format!("{stem}.{end}").to_lowercase()).or_insert(1);
        loop {
            let name = if *number == 1 { format!("{stem}.{end}") } else { format!("{stem}-{number}.{end}") };
            *number += 1;
            if self.taken.insert(name.to_lowercase()) {
                return name;
            }
        }
    }

    /// Takes a name for something else.
    pub(super) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }
}

/// Without what a file system takes for more than a letter.
fn plain(part: &str) -> String {
    part.chars().map(|letter| if letter.is_control() || r#"\:*?"<>|"#.contains(letter) { '_' } else { letter }).collect()
}

fn shortened(stem: &str) -> &str {
    let end = (0..=MAX_NAME.min(stem.len())).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or_default();
    stem.get(..end).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_given_once_and_stays_inside() {
        let mut names = Names::default();
        names.reserve("manifest.json");
        for (path, end, name) in [
            ("/photos/a.png", "jpg", "photos/a.jpg"),
            ("photos/a.jpg", "jpg", "photos/a-2.jpg"),
            ("photos/A.jpg", "jpg", "photos/A-3.jpg"),
            ("photos/a.jpg", "png", "photos/a.png"),
            ("../../etc/passwd", "jpg", "etc/passwd.jpg"),
            ("c:\\x\u{7}.jpg", "jpg", "c__x_.jpg"),
            ("dir.d/noend", "jpg", "dir.d/noend.jpg"),
            ("d/.hidden", "jpg", "d/.hidden.jpg"),
            ("/ü n/ß.jpg", "webp", "ü n/ß.webp"),
            ("manifest.x", "json", "manifest-2.json"),
            ("..", "jpg", "image.jpg"),
        ] {
            assert_eq!(names.of(path, end), name, "{path}");
        }
        assert!(names.of(&"ü".repeat(500), "jpg").len() <= MAX_NAME + 4);
    }

    #[test]
    fn numbers_that_others_have_are_left_out() {
        let mut names = Names::default();
        let given: Vec<String> = ["a-2.png", "a.png", "a.png", "a.png"].into_iter().map(|path| names.of(path, "jpg")).collect();
        assert_eq!(given, ["a-2.jpg", "a.jpg", "a-3.jpg", "a-4.jpg"]);
    }

    #[test]
    fn a_list_of_one_image_gets_its_names() {
        // So many that nobody would wait for the end if every name tried all before it.
        let mut names = Names::default();
        for _ in 1..crate::batches::MAX_IMAGES {
            names.of("a.png", "jpg");
        }
        assert_eq!(names.of("a.png", "jpg"), format!("a-{}.jpg", crate::batches::MAX_IMAGES));
    }
}
