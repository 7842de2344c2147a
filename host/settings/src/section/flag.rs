use crate::section::section;

section! {
    /// A feature flag as it is until somebody changes it at run time.
    FeatureFlag = "flags" named {
        /// Whether it is on.
        enabled: bool = "true" (Restart);
        /// For how many in a hundred subjects it is on; always the same ones.
        rollout: f64 = "100.0" in "0.0" to "100.0" (Restart);
        /// What it switches.
        description: String = r#""""# (Restart);
    }
}
