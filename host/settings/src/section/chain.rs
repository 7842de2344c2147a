use std::time::Duration;

use crate::json_text::JsonText;
use crate::section::section;

section! {
    /// How an operation is answered, by its name; that of a service's action is in quotes: `[chains."service.action"]`. What is not set is
    /// the operation's own.
    Chain = "chains" named {
        /// Who is asked, in this order: `local` (the host's own code), `service` (whose action it is), ids of plugins, `fallbacks`, `static`.
        providers: Option<Vec<String>> = "" (Restart);
        /// The longest the operation may take.
        timeout: Option<Duration> = "" in r#""1ms""# to r#""1h""# (Restart);
        /// The longest one provider may take.
        provider_timeout: Option<Duration> = "" in r#""1ms""# to r#""1h""# (Restart);
        /// Whether its providers are asked; when not, its fallbacks answer.
        enabled: bool = "true" (Restart);
        /// A feature flag; where it is off, the operation's fallbacks answer.
        flag: Option<String> = "" (Restart);
        /// How long an answer is fresh in the cache; 0s keeps none.
        cache_ttl: Option<Duration> = "" in r#""0s""# to r#""8760h""# (Restart);
        /// How long after that it is still given while a new one is fetched.
        stale_while_revalidate: Duration = r#""0s""# in r#""0s""# to r#""8760h""# (Restart);
        /// How long after that it is still given when every provider failed.
        stale_if_error: Duration = r#""0s""# in r#""0s""# to r#""8760h""# (Restart);
        /// The last answer, as JSON text that fits the operation's schema.
        static_answer: Option<JsonText> = "" (Restart);
    }
}
