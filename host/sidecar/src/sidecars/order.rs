//! In which order sidecars start.

use std::collections::BTreeMap;

use breakwater_core::Failure;

use crate::config::SidecarConfig;

/// The names in levels: those of each depend on levels before it alone.
///
/// # Errors
/// `sidecar.config` (invalid request) when they depend on each other in a circle.
pub(super) fn by_need(configs: &BTreeMap<String, SidecarConfig>) -> Result<Vec<Vec<String>>, Failure> {
    let (mut levels, mut order): (Vec<Vec<String>>, Vec<String>) = Default::default();
    while order.len() < configs.len() {
        let may = |(name, config): &(&String, &SidecarConfig)| {
            !order.contains(name) && config.depends_on.iter().all(|need| order.contains(need) || !configs.contains_key(need))
        };
        let next: Vec<_> = configs.iter().filter(may).map(|(name, _)| name.clone()).collect();
        if next.is_empty() {
            let open: Vec<_> = configs.keys().filter(|name| !order.contains(name)).map(|name| format!("`{name}`")).collect();
            let message = format!("the sidecars {} depend on each other in a circle", open.join(", "));
            return Err(Failure::invalid("sidecar.config", message));
        }
        order.extend(next.iter().cloned());
        levels.push(next);
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Launch;

    fn configs(needs: &[(&str, &[&str])]) -> BTreeMap<String, SidecarConfig> {
        let config = |needs: &[&str]| SidecarConfig {
            depends_on: needs.iter().map(|need| (*need).to_owned()).collect(),
            ..SidecarConfig::new("x", Launch::Command(vec!["x".to_owned()]))
        };
        needs.iter().map(|(name, needs)| ((*name).to_owned(), config(needs))).collect()
    }

    #[test]
    fn what_is_needed_comes_first() {
        let order = by_need(&configs(&[("a", &["c"]), ("b", &[]), ("c", &["b"]), ("d", &["a", "b"])])).unwrap();
        assert_eq!(order, [vec!["b"], vec!["c"], vec!["a"], vec!["d"]]);
        assert_eq!(by_need(&configs(&[("a", &["c"]), ("b", &[]), ("c", &[])])).unwrap(), [vec!["b", "c"], vec!["a"]]);
        let failure = by_need(&configs(&[("a", &["b"]), ("b", &["a"]), ("c", &[])])).unwrap_err();
        assert_eq!(failure.code, "sidecar.config");
        assert!(failure.message.contains("`a`, `b`") && !failure.message.contains("`c`"), "{}", failure.message);
    }
}
