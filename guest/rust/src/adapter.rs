//! What an adapter plugin implements.

use crate::bindings::adapter::exports::breakwater::plugin::adapter as contract;
pub use crate::bindings::adapter::exports::breakwater::plugin::adapter::Effect;
use crate::failure::Failure;
use crate::host::Upstreams;
use crate::invocation::{Invocation, Reply};

/// A service as operations with schemas. It becomes a provider of the operations it names; one that nobody else declared comes into
/// being with it.
///
/// ```
/// use breakwater_guest::testing::FakeHost;
/// use breakwater_guest::{Adapter, Failure, Invocation, Operation, Reply, Request, Response, Upstreams, export_adapter_plugin};
/// use serde_json::{Value, json};
///
/// struct Weather;
///
/// impl Adapter for Weather {
///     const OPERATIONS: &'static [Operation] = &[Operation::read(
///         "get-weather",
///         "The weather of a town.",
///         r#"{"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}"#,
///         r#"{"type": "object", "properties": {"celsius": {"type": "number"}}, "required": ["celsius"]}"#,
///     )];
///
///     fn invoke<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
///         let answer = host.upstream("weather-service").send(Request::post("/weather").json(&call.input)?.read())?;
///         Ok(Reply::new(answer.json::<Value>()?))
///     }
/// }
///
/// export_adapter_plugin!(Weather);
///
/// // The same code runs natively, against a made-up upstream.
/// let host = FakeHost::new().answering(|sent| {
///     assert_eq!((sent.upstream.as_str(), sent.json()), ("weather-service", json!({ "town": "Oslo" })));
///     Ok(Response::of_json(&json!({ "celsius": -3.5 })))
/// });
/// let reply = Weather::invoke(&host, Invocation::new("get-weather", json!({ "town": "Oslo" }))).unwrap();
/// assert_eq!(reply.output, json!({ "celsius": -3.5 }));
/// ```
pub trait Adapter {
    /// What it offers, at most 64 operations.
    const OPERATIONS: &'static [Operation];

    /// Does it. The input fits the operation's input schema; `call.operation` is one of the names above.
    ///
    /// # Errors
    /// The failure says what the next provider may do: after `invalid-request` nobody else is asked; for an operation that changes
    /// something the chain goes on only if nothing happened. Failures of the upstream may be passed on as they are.
    fn invoke<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure>;
}

/// An operation that an adapter offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Kebab case, at most 64 bytes, such as `generate-resume`.
    pub name: &'static str,
    /// One sentence for people, at most 256 bytes.
    pub summary: &'static str,
    /// JSON Schema (2020-12) of the input, at most 64 KiB, without references to other documents.
    pub input_schema: &'static str,
    /// JSON Schema of the output, likewise. An answer that does not fit it counts against the plugin.
    pub output_schema: &'static str,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether it may be sent twice without harm, though it is no read.
    pub idempotent: bool,
    /// Permission it asks for when nobody declared the operation before, such as `operation:generate-resume`.
    pub permission: Option<&'static str>,
}

impl Operation {
    /// One that does this to the world.
    #[must_use]
    pub const fn new(
        effect: Effect,
        name: &'static str,
        summary: &'static str,
        input_schema: &'static str,
        output_schema: &'static str,
    ) -> Self {
        Self { name, summary, input_schema, output_schema, effect, idempotent: matches!(effect, Effect::Read), permission: None }
    }

    /// One that changes nothing: it may be repeated, kept in a cache, and answered by anyone.
    #[must_use]
    pub const fn read(name: &'static str, summary: &'static str, input_schema: &'static str, output_schema: &'static str) -> Self {
        Self::new(Effect::Read, name, summary, input_schema, output_schema)
    }

    /// The same, safe to send twice.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The same with a permission that callers need.
    #[must_use]
    pub const fn with_permission(self, permission: &'static str) -> Self {
        Self { permission: Some(permission), ..self }
    }
}

impl From<&Operation> for contract::Operation {
    fn from(operation: &Operation) -> Self {
        Self {
            name: operation.name.to_owned(),
            summary: operation.summary.to_owned(),
            input_schema: operation.input_schema.to_owned(),
            output_schema: operation.output_schema.to_owned(),
            effect: operation.effect,
            idempotent: operation.idempotent,
            permission: operation.permission.map(str::to_owned),
        }
    }
}
