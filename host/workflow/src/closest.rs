//! The name that was probably meant.

/// The candidate closest to `name`, if one is close enough to be a slip: one letter in three may differ, and none in a name of one or two.
pub(crate) fn to<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Distances of long names take long, and nobody mistypes them.
    if name.len() > 64 {
        return None;
    }
    let letters = name.chars().count();
    let allowed = if letters < 3 { 0 } else { letters.div_ceil(3) };
    let near = candidates.into_iter().filter(|candidate| candidate.len() <= 64);
    let measured = near.map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate));
    measured.filter(|(distance, _)| *distance <= allowed).min().map(|(_, candidate)| candidate.to_owned())
}
