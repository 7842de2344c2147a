//! Sidecars: what one says, and what they say together.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;

use http::Uri;
use regex::Regex;

use super::{Check, twice};
use crate::place::{is_kebab, no_name};
use crate::reader::Reader;
use crate::section::{Sidecar, SidecarReadiness};
use crate::suggest::nearest;
use crate::value::quoted;

/// Where Breakwater answers itself; nothing at or below can be passed through.
pub(crate) const OWN_ROUTES: &[&str] = &[
    "/v1",
    "/v2",
    "/health",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/extract-features",
    "/extract-features-batch",
    "/api/executions",
    "/api/health",
    "/api/process-image",
    "/api/services",
    "/api/v1/products",
    "/api/workflows",
];

/// Notes what is wrong with a key.
type Blame<'a> = &'a mut dyn FnMut(&'static str, String);

impl Check for Sidecar {
    fn check(&self, reader: &mut Reader<'_>, name: Option<&str>) {
        let blame: Blame<'_> = &mut |key, message| reader.blame("sidecars", name, key, message);
        launch(self, blame);
        interpreter(self, blame);
        process(self, blame);
        readiness(self, blame);
        times(self, blame);
        route(self, blame);
    }

    fn check_all(entries: &BTreeMap<String, Self>, reader: &mut Reader<'_>) {
        unknown_dependencies(entries, reader);
        cycles(entries, reader);
        ports(entries, reader);
        prefixes(entries, reader);
    }
}

fn launch(sidecar: &Sidecar, blame: Blame<'_>) {
    let ways =
        [("script", sidecar.script.is_some()), ("command", !sidecar.command.is_empty()), ("external_url", sidecar.external_url.is_some())];
    let mut given = ways.into_iter().filter_map(|(key, set)| set.then_some(key));
    match given.next() {
        None => blame("script", "is not set, nor is command or external_url: one of the three says what runs".to_owned()),
        Some(first) => given.for_each(|key| blame(key, format!("is set beside {first}; one of the two must go"))),
    }
    if !sidecar.command.is_empty() {
        if sidecar.command.first().is_some_and(|program| program.trim().is_empty()) {
            blame("command", "item 1 names no program".to_owned());
        }
        if !sidecar.args.is_empty() {
            blame("args", "belong to a script; those of a command stand behind its program".to_owned());
        }
        if sidecar.interpreter.is_some() {
            blame("interpreter", "belongs to a script; that of a command is its program".to_owned());
        }
    }
    if sidecar.external_url.is_some() {
        if sidecar.instances != 1 {
            blame("instances", "one that somebody else runs counts as one".to_owned());
        }
        if sidecar.pass_socket {
            blame("pass_socket", "one that somebody else runs can be handed nothing".to_owned());
        }
        if sidecar.readiness == SidecarReadiness::Line {
            blame("readiness", "what one writes that somebody else runs cannot be seen: \"line\" is not possible".to_owned());
        }
    }
}

/// Programs that say their version, and those of them that can try an import.
const SAYING_THEIR_VERSION: [&str; 6] = ["python", "pypy", "node", "nodejs", "ruby", "java"];
const TRYING_IMPORTS: [&str; 5] = ["python", "pypy", "node", "nodejs", "ruby"];

/// What is asked of an interpreter must not be asked of any program: it would be started just like that.
fn interpreter(sidecar: &Sidecar, blame: Blame<'_>) {
    let Some(program) = sidecar.command.first().filter(|_| sidecar.virtualenv.is_none()) else { return };
    let name = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    let advice = "set virtualenv for that of its Python, or leave this out";
    if sidecar.minimum_version.is_some() && !SAYING_THEIR_VERSION.contains(&name) {
        blame("minimum_version", format!("is that of an interpreter, and {} is none that is known; {advice}", quoted(program)));
    }
    if !sidecar.imports.is_empty() && !TRYING_IMPORTS.contains(&name) {
        blame("imports", format!("are tried by an interpreter, and {} is none that is known to do so; {advice}", quoted(program)));
    }
}

fn process(sidecar: &Sidecar, blame: Blame<'_>) {
    let interpreter: Vec<String> = sidecar.interpreter.iter().cloned().collect();
    for (key, texts) in [("command", &sidecar.command), ("args", &sidecar.args), ("interpreter", &interpreter)] {
        if texts.iter().any(|text| text.contains('\0')) {
            blame(key, "holds a NUL, which no argument can".to_owned());
        }
    }
    for (name, value) in &sidecar.environment {
        if name.is_empty() || name.contains(['=', '\0']) {
            blame("environment", format!("{} is no name of a variable", quoted(name)));
        }
        // The value may be a secret: it is not shown.
        if value.contains('\0') {
            blame("environment", format!("the value of {} holds a NUL, which no variable can", quoted(name)));
        }
    }
    let in_import = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | '@');
    if let Some(import) = sidecar.imports.iter().find(|import| import.is_empty() || !import.chars().all(in_import)) {
        blame("imports", format!("expected names such as \"flask\" or \"@scope/package\", got {}", quoted(import)));
    }
    if let Some(port) = sidecar.port.filter(|port| *port != 0 && u32::from(*port) + sidecar.instances - 1 > u32::from(u16::MAX)) {
        blame("port", format!("there are no {} ports from {port} on", sidecar.instances));
    }
    if let Some(upstream) = sidecar.upstream.as_deref().filter(|upstream| !is_kebab(upstream)) {
        blame("upstream", no_name(upstream));
    }
    if let Some(twice) = twice(&sidecar.depends_on) {
        blame("depends_on", format!("{} is there twice", quoted(twice)));
    }
    for pattern in sidecar.patterns.keys() {
        if let Some(reason) = no_pattern(pattern) {
            blame("patterns", format!("{} is no regular expression: {reason}", quoted(pattern)));
        }
    }
}

/// Why a text is no regular expression, in one line.
fn no_pattern(text: &str) -> Option<String> {
    let error = Regex::new(text).err()?.to_string();
    // Before its last line, a syntax error draws where it is.
    let reason = error.lines().last().unwrap_or_default().trim();
    Some(reason.strip_prefix("error: ").unwrap_or(reason).to_owned())
}

fn readiness(sidecar: &Sidecar, blame: Blame<'_>) {
    let is_path = |path: &str| path.starts_with('/') && path.parse::<Uri>().is_ok();
    let paths = [("health_path", Some(&sidecar.health_path)), ("request_path", sidecar.request_path.as_ref())];
    for (key, path) in paths {
        if let Some(path) = path.filter(|path| !is_path(path)) {
            blame(key, format!("expected a path such as \"/health\", got {}", quoted(path)));
        }
    }
    match &sidecar.ready_line {
        None if sidecar.readiness == SidecarReadiness::Line => blame("ready_line", "is needed for the readiness \"line\"".to_owned()),
        Some(_) if sidecar.readiness != SidecarReadiness::Line => {
            blame("ready_line", "is only looked for with the readiness \"line\"".to_owned());
        }
        Some(line) => {
            if let Some(reason) = no_pattern(line) {
                blame("ready_line", format!("{} is no regular expression: {reason}", quoted(line)));
            }
        }
        None => {}
    }
    let request = [("request_path", sidecar.request_path.is_some()), ("request_body", sidecar.request_body.is_some())];
    if sidecar.readiness != SidecarReadiness::Request {
        for (key, _) in request.into_iter().filter(|(_, set)| *set) {
            blame(key, "is only used with the readiness \"request\"".to_owned());
        }
    } else if sidecar.request_path.is_none() {
        blame("request_path", "is needed for the readiness \"request\"".to_owned());
    }
}

fn times(sidecar: &Sidecar, blame: Blame<'_>) {
    let waits = [
        ("health_check_interval", sidecar.health_check_interval, "health_check_max_interval", sidecar.health_check_max_interval),
        ("restart_delay", sidecar.restart_delay, "max_restart_delay", sidecar.max_restart_delay),
    ];
    for (key, wait, longest, most) in waits {
        if wait > most {
            blame(key, format!("is longer than {longest}"));
        }
    }
}

fn route(sidecar: &Sidecar, blame: Blame<'_>) {
    let Some(prefix) = &sidecar.route_prefix else {
        if sidecar.strip_prefix {
            blame("strip_prefix", "is set without route_prefix".to_owned());
        }
        return;
    };
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '~');
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(letter);
    if !prefix.strip_prefix('/').is_some_and(|path| path.split('/').all(segment)) {
        let expected = "expected a path such as \"/api/deepfake\": letters, digits, `-`, `_`, `.` and `~` between slashes, none at the end";
        blame("route_prefix", format!("{expected}; got {}", quoted(prefix)));
    }
    if let Some(own) = OWN_ROUTES.iter().find(|own| is_below(prefix, own)) {
        blame("route_prefix", format!("{own} is answered by Breakwater itself"));
    }
}

/// Whether a path is this one or below it.
pub(crate) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn unknown_dependencies(entries: &BTreeMap<String, Sidecar>, reader: &mut Reader<'_>) {
    for (name, sidecar) in entries {
        for missing in sidecar.depends_on.iter().filter(|other| !entries.contains_key(*other)) {
            let near = nearest(missing, entries.keys().filter(|other| *other != name).map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {}?", quoted(near))).unwrap_or_default();
            reader.blame("sidecars", Some(name), "depends_on", format!("there is no sidecar {}{hint}", quoted(missing)));
        }
    }
}

/// Takes away, again and again, what waits for nothing that is left; what cannot be taken away waits for itself.
fn cycles(entries: &BTreeMap<String, Sidecar>, reader: &mut Reader<'_>) {
    let mut left: BTreeMap<&str, &[String]> =
        entries.iter().map(|(name, sidecar)| (name.as_str(), sidecar.depends_on.as_slice())).collect();
    while !left.is_empty() {
        let waits = |others: &[String]| others.iter().any(|other| left.contains_key(other.as_str()));
        let free: Vec<&str> = left.iter().filter(|(_, others)| !waits(others)).map(|(name, _)| *name).collect();
        if free.is_empty() {
            let cycle = cycle(&left);
            if let Some(first) = cycle.first() {
                let path: Vec<&str> = cycle.iter().chain([first]).copied().collect();
                reader.blame("sidecars", Some(first), "depends_on", format!("waits for itself: {}", path.join(" needs ")));
            }
            left.retain(|name, _| !cycle.contains(name));
        } else {
            left.retain(|name, _| !free.contains(name));
        }
    }
}

/// A way back to where it began, where everything waits for something.
fn cycle<'a>(left: &BTreeMap<&'a str, &'a [String]>) -> Vec<&'a str> {
    let mut path: Vec<&'a str> = left.keys().next().copied().into_iter().collect();
    while let Some(others) = path.last().and_then(|last| left.get(last)) {
        let Some(next) = others.iter().map(String::as_str).find(|other| left.contains_key(other)) else { break };
        if let Some(begin) = path.iter().position(|seen| *seen == next) {
            return path.split_off(begin);
        }
        path.push(next);
    }
    path
}

fn ports(entries: &BTreeMap<String, Sidecar>, reader: &mut Reader<'_>) {
    let port = |sidecar: &Sidecar| sidecar.port.filter(|port| *port != 0 && sidecar.external_url.is_none());
    let mut before: Vec<(&str, IpAddr, u32, u32)> = Vec::new();
    for (name, sidecar) in entries {
        let Some(first) = port(sidecar).map(u32::from) else { continue };
        let last = first.saturating_add(sidecar.instances - 1);
        let taken = |(_, host, from, to): &&(&str, IpAddr, u32, u32)| share_ports(*host, sidecar.host) && *from <= last && first <= *to;
        if let Some((other, ..)) = before.iter().find(taken) {
            let ports = if first == last { first.to_string() } else { format!("{first} to {last}") };
            reader.blame("sidecars", Some(name), "port", format!("{ports} is also taken by the sidecar {}", quoted(other)));
        }
        before.push((name, sidecar.host, first, last));
    }
}

/// Whether a port on one address is also a port on the other: they are the same, or one stands for all, as `0.0.0.0` does for those of
/// IPv4 and `::` for those of both.
#[must_use]
pub fn share_ports(one: IpAddr, other: IpAddr) -> bool {
    let covers = |all: IpAddr, single: IpAddr| all.is_unspecified() && (all.is_ipv6() || single.is_ipv4());
    one == other || covers(one, other) || covers(other, one)
}

fn prefixes(entries: &BTreeMap<String, Sidecar>, reader: &mut Reader<'_>) {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let routed = entries.iter().filter_map(|(name, sidecar)| Some((name, sidecar.route_prefix.as_deref()?)));
    for (name, prefix) in routed {
        if let Some(other) = before.insert(prefix, name) {
            reader.blame("sidecars", Some(name), "route_prefix", format!("is also that of the sidecar {}", quoted(other)));
        }
    }
}
