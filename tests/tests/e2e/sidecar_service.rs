//! What the tests of sidecars share: their configuration, a service that has it, and waiting until a sidecar is as it should be.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use breakwater_tests::artifacts::{Artifacts, root};
use breakwater_tests::client::{Answer, Client};
use breakwater_tests::external::program;
use breakwater_tests::flask;
use breakwater_tests::service::{Launch, Service};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{eventually, ok, start};

/// How long something may take that is about to happen.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(25);

/// The virtual environment with Flask, or a line that says what did not run.
pub(crate) fn flask_or_say(what: &str) -> Option<PathBuf> {
    let found = flask::virtualenv();
    if found.is_none() {
        println!("NOT RUN: {what} (there is no Flask: cargo xtask test installs it)");
    }
    found
}

/// A Python without any package, in a virtual environment of its own in this folder; nothing, after saying so, without Python.
pub(crate) fn bare_python(folder: &Path, what: &str) -> Option<PathBuf> {
    let Some(python) = program("python3") else {
        println!("NOT RUN: {what} (there is no python3)");
        return None;
    };
    let virtualenv = folder.join("bare-python");
    let made = Command::new(python).args(["-m", "venv", "--without-pip"]).arg(&virtualenv).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(virtualenv)
}

/// A script of tests/services.
pub(crate) fn script(name: &str) -> PathBuf {
    root().join("tests/services").join(name)
}

/// A port that was free when it was looked at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The configuration of one sidecar.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    name: String,
    keys: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl Section {
    /// Nothing but its name: every default is in force.
    pub(crate) fn bare(name: &str) -> Self {
        Self { name: name.to_owned(), keys: Vec::new(), environment: Vec::new() }
    }

    /// One that takes a free port, and where everything is noticed soon, also on a machine that is busy.
    pub(crate) fn quick(name: &str) -> Self {
        Self::bare(name)
            .set("port", 0)
            .set("health_check_interval", "50ms")
            .set("health_check_max_interval", "200ms")
            .set("health_check_max_retries", 10_000)
            .set("health_check_timeout", "60s")
            .set("live_interval", "200ms")
            .set("restart_delay", "50ms")
            .set("shutdown_timeout", "2s")
    }

    /// The Flask server of the tests.
    pub(crate) fn flask(name: &str, virtualenv: &Path) -> Self {
        Self::quick(name).set("script", script("flask_server.py")).set("virtualenv", virtualenv)
    }

    /// With this value of a key, in place of the one before.
    pub(crate) fn set(self, key: &str, value: impl Serialize) -> Self {
        // Strings, numbers and lists of them are written the same in TOML.
        let value = serde_json::to_string(&value).unwrap();
        self.raw(key, &value)
    }

    /// With a value as TOML has it.
    pub(crate) fn raw(mut self, key: &str, value: &str) -> Self {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Without a key.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(known, _)| known != key);
        self
    }

    /// With this variable in its environment.
    pub(crate) fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// As it stands in the file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("[sidecars.{}]\n", self.name);
        for (key, value) in &self.keys {
            text += &format!("{key} = {value}\n");
        }
        text += &format!("[sidecars.{}.environment]\n", self.name);
        for (name, value) in &self.environment {
            text += &format!("{name} = {}\n", serde_json::to_string(value).unwrap());
        }
        text
    }
}

/// Several sections as a file.
pub(crate) fn file(sections: &[Section]) -> String {
    sections.iter().map(Section::text).collect()
}

/// A service with sidecars.
pub(crate) struct Host {
    pub(crate) service: Service,
    pub(crate) client: Client,
}

impl Host {
    pub(crate) fn start(sections: &[Section]) -> Self {
        Self::launch(Launch::without_plugins(), sections, "")
    }

    /// With more of a launch, and more in its configuration.
    pub(crate) fn launch(launch: Launch, sections: &[Section], more: &str) -> Self {
        let (service, client) = start(launch.config(&format!("{more}{}", file(sections))));
        Self { service, client }
    }

    /// How a sidecar is.
    pub(crate) async fn status(&self, name: &str) -> Value {
        ok(&self.client.get(&format!("/v1/sidecars/{name}")).await.unwrap())
    }

    /// Waits until a sidecar is so.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        name: &'a str,
        what: &'a str,
        fits: impl Fn(&Value) -> bool + 'a,
    ) -> impl Future<Output = Value> + 'a {
        let fits = std::rc::Rc::new(fits);
        eventually(what, move || {
            let fits = std::rc::Rc::clone(&fits);
            async move {
                let status = self.status(name).await;
                fits(&status).then_some(status)
            }
        })
    }

    /// Waits until every instance of a sidecar is ready.
    pub(crate) async fn ready(&self, name: &str) -> Value {
        self.until(name, "every instance is ready", |status| states(status).iter().all(|state| state == "ready")).await
    }

    /// Waits until no instance of a sidecar is started again by itself, because it failed.
    pub(crate) async fn failed(&self, name: &str) -> Value {
        self.until(name, "every instance has failed for good", |status| states(status).iter().all(|state| state == "failed")).await
    }

    /// `POST /v1/sidecars/{name}/{order}`.
    pub(crate) async fn order(&self, name: &str, order: &str) -> Answer {
        self.client.post(&format!("/v1/sidecars/{name}/{order}"), &json!({})).await.unwrap()
    }

    /// The JSON of a request that is passed through.
    pub(crate) async fn get(&self, path: &str) -> Value {
        ok(&self.client.get(path).await.unwrap())
    }

    /// A request that is passed through and must not be made twice. What comes back is the caller's business.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.client.post(path, &json!({})).await.unwrap()
    }

    /// Waits until all of this stands in the service's log, in this order. What it logs comes through a pipe, a little later.
    pub(crate) async fn logged(&self, wanted: &[&str]) {
        let started = Instant::now();
        loop {
            let log = self.service.log();
            let mut rest = log.as_str();
            let missing = wanted.iter().find(|text| {
                let after = rest.split_once(**text).map(|(_, after)| after);
                rest = after.unwrap_or(rest);
                after.is_none()
            });
            let Some(missing) = missing else { return };
            assert!(started.elapsed() < PATIENCE, "{missing:?} is not in the log, or not behind what comes before:\n{log}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Everything that a sidecar wrote lately, and what the service said about it, a line each.
    pub(crate) async fn logs(&self, name: &str) -> Vec<Value> {
        let answer = self.client.get(&format!("/v1/sidecars/{name}/logs?lines=1000")).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{}", answer.beginning());
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The states of the instances.
pub(crate) fn states(status: &Value) -> Vec<String> {
    instances(status).iter().map(|instance| instance["state"].as_str().unwrap().to_owned()).collect()
}

/// The instances.
pub(crate) fn instances(status: &Value) -> &[Value] {
    status["instances"].as_array().unwrap()
}

/// The process of an instance that runs.
#[track_caller]
pub(crate) fn pid(status: &Value, instance: usize) -> u32 {
    u32::try_from(instances(status)[instance]["pid"].as_u64().unwrap_or_else(|| panic!("no process: {status}"))).unwrap()
}

/// When an instance last became so, in milliseconds since 1970.
pub(crate) fn last(status: &Value, instance: usize, state: &str) -> Option<u64> {
    let history = status["history"].as_array().unwrap().iter().rev();
    history.filter(|entry| entry["instance"] == instance && entry["state"] == state).find_map(|entry| entry["at_ms"].as_u64())
}

/// The texts of log lines of one stream.
pub(crate) fn texts(lines: &[Value], stream: &str) -> Vec<String> {
    lines.iter().filter(|line| line["stream"] == stream).map(|line| line["line"].as_str().unwrap().to_owned()).collect()
}

/// Runs the command line.
pub(crate) fn breakwater(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(Artifacts::locate().unwrap().binary);
    command.current_dir(folder).env_remove("BREAKWATER_SERVER").env_remove("BREAKWATER_CONFIG").args(arguments);
    command.output().unwrap()
}

/// What a command printed.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
