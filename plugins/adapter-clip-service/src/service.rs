//! Asking the service, and whose features it gives.

use breakwater_guest::{Blob, Failure, FailureKind, Form, Invocation, Request, Response, Upstreams, path_template};
use serde::Deserialize;

/// The upstream's name.
const UPSTREAM: &str = "clip-service";
/// The most numbers that features may have.
const MAX_DIMENSION: usize = 16_384;

/// One kind of request.
pub(crate) struct Route {
    /// The setting that holds its path.
    pub(crate) setting: &'static str,
    /// Its path when that is not set.
    pub(crate) path: &'static str,
    /// The part of the form that holds a picture.
    pub(crate) part: &'static str,
}

/// The service's model, as the operator says it is.
pub(crate) struct Model {
    /// Names the features: only those of one name are compared.
    pub(crate) id: String,
    /// Numbers in each.
    pub(crate) dimension: usize,
    /// What the service calls its model; nothing else is taken when this is set.
    expected: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    model: Option<String>,
}

impl Model {
    /// From the settings, if the call does not ask for another one.
    ///
    /// # Errors
    /// `config.invalid` (internal) for a setting that cannot be meant; `embedder.other-model` (not-found) when another one is asked for.
    pub(crate) fn of<H: Upstreams>(host: &H, call: &Invocation) -> Result<Self, Failure> {
        let id = host.setting("model")?.unwrap_or_else(|| "clip-vit-base-patch32".to_owned());
        let dimension = host.setting("dimension")?.map_or(Some(512), |text| text.parse().ok());
        let Some(dimension) = dimension.filter(|dimension| (1..=MAX_DIMENSION).contains(dimension)) else {
            return Err(Failure::internal("config.invalid", &format!("the setting dimension is a number from 1 to {MAX_DIMENSION}")));
        };
        if !(1..=128).contains(&id.len()) {
            return Err(Failure::internal("config.invalid", "the setting model is 1 to 128 bytes"));
        }
        let asked: Asked = call.read()?;
        if asked.model.is_some_and(|asked| asked != id) {
            return Err(Failure::new(FailureKind::NotFound, "embedder.other-model", &format!("the service has the model {id} alone")));
        }
        Ok(Self { id, dimension, expected: host.setting("service_model")? })
    }

    /// Whether the service may call its model this.
    ///
    /// # Errors
    /// `upstream.response-invalid` when another name was expected.
    pub(crate) fn check_name(&self, said: Option<&str>) -> Result<(), Failure> {
        match (&self.expected, said) {
            (Some(expected), Some(said)) if expected != said => {
                let said: String = said.escape_debug().take(64).collect();
                Err(Failure::response_invalid(&format!("/model: it is {said}, and its features are not those of {expected}")))
            }
            _ => Ok(()),
        }
    }
}

/// Sends the call's pictures as files of a form, in their order.
///
/// # Errors
/// Those of the upstream, without the bodies of its answers.
pub(crate) fn ask<H: Upstreams>(host: &H, call: Invocation, route: &Route) -> Result<Response, Failure> {
    let path = path_template::configured(host, route.setting, route.path, &call.context)?;
    let file = |form: Form, (index, picture): (usize, Blob)| {
        let name = file_name(index + 1, &picture.media_type());
        form.file(route.part, &name, picture)
    };
    let form = call.attachments.into_iter().enumerate().fold(Form::new(), file);
    let request = Request::post(path).header("accept", "application/json").form(form).read();
    host.upstream(UPSTREAM).send(request).map_err(Failure::for_caller)
}

/// Such as `1.jpeg`: services look at the ending.
fn file_name(number: usize, media_type: &str) -> String {
    let ending = media_type.strip_prefix("image/").filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    format!("{number}.{}", ending.unwrap_or("bin"))
}
