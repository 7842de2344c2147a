use crate::section::section;

section! {
    /// A feature flag as it is until somebody changes it at run time.
    FeatureFlag = "flags" named {
        /// Whether it is on.
        enabled: bool = "true" (Restart);
        /// For how many in a hundred subjects it is on; always the same ones.
        rollout: u32 = "100" in "0" to "100" (Restart);
        /// What it switches.
        description: String = r#""""# (Restart);
    }
}
