use std::time::Duration;

use crate::section::section;

section! {
    /// Which web pages of other origins may call the service. Off by default.
    Cors = "cors" {
        /// Origins such as `https://shop.example`, or `*` for any; none switches it off.
        allowed_origins: Vec<String> = "[]" (Restart);
        /// Methods that they may use.
        allowed_methods: Vec<String> = r#"["GET", "POST", "PUT", "DELETE"]"# (Restart);
        /// Headers that they may send.
        allowed_headers: Vec<String> = r#"["authorization", "content-type", "idempotency-key", "x-correlation-id", "traceparent"]"# (Restart);
        /// Whether cookies and client certificates are sent along; not together with `*`.
        allow_credentials: bool = "false" (Restart);
        /// How long a browser may remember the answer.
        max_age: Duration = r#""10m""# in r#""0s""# to r#""24h""# (Restart);
    }
}
