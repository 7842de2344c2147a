//! The client for Python: its own tests, and its methods against the real binary with services in other processes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use breakwater_tests::artifacts::{Artifacts, root};
use breakwater_tests::external::{program, run};
use breakwater_tests::service::Launch;

use crate::support::{start, text_service};

/// What the client needs, and what builds it.
const PACKAGES: [&str; 2] = ["httpx==0.28.1", "setuptools==80.9.0"];
/// The oldest Python that it is for.
const OLDEST: (u32, u32) = (3, 10);

/// The Python of a virtual environment with the client, or a line that says why the test did not run. Outside of the checkout, so that
/// nothing is left in it.
fn installed(what: &str) -> Option<&'static Client> {
    static INSTALLED: OnceLock<Result<Client, String>> = OnceLock::new();
    match INSTALLED.get_or_init(install) {
        Ok(client) => Some(client),
        Err(missing) => {
            println!("NOT RUN: {what} ({missing})");
            None
        }
    }
}

struct Client {
    python: PathBuf,
    /// A copy of the client's folder.
    folder: PathBuf,
}

fn install() -> Result<Client, String> {
    let system = program("python3").ok_or("there is no python3")?;
    let version = run(&system, &["-c", "import sys; print(*sys.version_info[:2])"], &root(), &[]).unwrap();
    let mut numbers = version.split_whitespace().map(|number| number.parse::<u32>().unwrap());
    if numbers.next().zip(numbers.next()).is_none_or(|found| found < OLDEST) {
        return Err(format!("the client needs Python 3.10, here is {}", version.trim()));
    }
    let place = Artifacts::locate().unwrap().guests.with_file_name("breakwater-python");
    std::fs::create_dir_all(&place).unwrap();
    let (virtualenv, folder) = (place.join("venv"), place.join("client"));
    let python = virtualenv.join("bin/python");
    // Its name says what is in it, so that other packages are installed anew.
    let whole = virtualenv.join(PACKAGES.join("-"));
    if !whole.is_file() {
        remove(&virtualenv);
        // Without its own pip, which Debian has in a package that need not be there: that of the system installs into it.
        let venv = ["-m", "venv", "--without-pip"].map(Path::new);
        fetched(run(&system, &[&venv[..], &[virtualenv.as_path()]].concat(), &place, &[]))?;
        fetched(pip(&system, &python, &place, &[&["--only-binary=:all:"], &PACKAGES[..]].concat()))?;
        std::fs::write(&whole, "installed\n").unwrap();
    }
    remove(&folder);
    copied(&root().join("clients/python"), &folder);
    // What was built of another state of the client is not what is tested.
    let arguments = ["--no-deps", "--no-build-isolation", "--force-reinstall", folder.to_str().unwrap()];
    pip(&system, &python, &place, &arguments).unwrap();
    // Tests that find the sources beside them would not notice that a package is missing.
    remove(&folder.join("src"));
    Ok(Client { python, folder })
}

fn pip(system: &Path, python: &Path, place: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let into = ["-m", "pip", "--python", python.to_str().unwrap(), "install", "--quiet"];
    let more = ["--disable-pip-version-check", "--root-user-action=ignore"];
    run(system, &[&into[..], &more, arguments].concat(), place, &[])
}

/// Nothing when the registry cannot be reached or pip is not there; anything else that goes wrong is a failure of the test.
fn fetched(said: anyhow::Result<String>) -> Result<(), String> {
    const UNREACHABLE: [&str; 6] =
        ["NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ReadTimeoutError", "ProxyError", "ConnectionResetError"];
    match said.map_err(|error| format!("{error:#}")) {
        Ok(_) => Ok(()),
        Err(error) if error.contains("No module named pip") || error.contains("No module named venv") => {
            Err("Python has no pip or venv".to_owned())
        }
        Err(error) if UNREACHABLE.iter().any(|sign| error.contains(sign)) => Err("pip cannot fetch its packages".to_owned()),
        Err(error) => panic!("{error}"),
    }
}

fn remove(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if name != "__pycache__" && name != "build" {
                copied(&entry.path(), &to.join(&name));
            }
        } else {
            std::fs::copy(entry.path(), to.join(&name)).unwrap();
        }
    }
}

/// What came of the tests whose files are called so.
struct Outcome {
    ran: u32,
    skipped: u32,
    text: String,
}

impl Client {
    fn tests(&self, pattern: &str, environment: &[(&str, &str)]) -> Outcome {
        let arguments = ["-m", "unittest", "discover", "--verbose", "--start-directory", "tests", "--pattern", pattern];
        let environment = [&[("PYTHONDONTWRITEBYTECODE", "1")], environment].concat();
        let text = tokio::task::block_in_place(|| run(&self.python, &arguments, &self.folder, &environment)).unwrap();
        let count = |before: &str| {
            let number = text.lines().find_map(|line| line.split_once(before)?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            number.unwrap_or_default()
        };
        Outcome { ran: count("Ran "), skipped: count("skipped="), text: text.clone() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_for_python_does_what_its_documents_promise() {
    let Some(client) = installed("the client for Python") else { return };
    let outcome = client.tests("test_[!l]*.py", &[]);
    assert!(outcome.ran >= 40 && outcome.skipped == 0, "{}", outcome.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_workflows_are_used_through_the_client_for_python() {
    let Some(client) = installed("the client for Python against the service") else { return };
    let Some(texts) = text_service(&[]) else { return };
    let (service, _client) = start(Launch::without_plugins());
    let (ended, _client) = start(Launch::without_plugins());
    let dead = ended.base().to_owned();
    ended.stop(Duration::from_secs(30)).unwrap();
    let environment = [("BREAKWATER_URL", service.base()), ("TEXT_SERVICE_URL", texts.base()), ("DEAD_URL", &dead)];
    let outcome = client.tests("test_live*.py", &environment);
    assert!(outcome.ran >= 18 && outcome.skipped == 0, "{}", outcome.text);
}
