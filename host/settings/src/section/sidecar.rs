use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use semver::Version;

use crate::json_text::JsonText;
use crate::section::section;
use crate::units::ByteSize;
use crate::url::BaseUrl;
use crate::value::words;

words! {
    /// How it is seen that a sidecar can be used.
    SidecarReadiness {
        /// Its health route answers.
        Http = "http",
        /// Its port accepts a connection.
        Tcp = "tcp",
        /// It writes a certain line to its standard output.
        Line = "line",
        /// It answers a request that makes it do its real work.
        Request = "request",
    }
}

words! {
    /// How the request of a readiness check is made.
    RequestMethod {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// PATCH.
        Patch = "PATCH",
        /// DELETE.
        Delete = "DELETE",
        /// OPTIONS.
        Options = "OPTIONS",
    }
}

words! {
    /// Whether a sidecar is being worked on.
    Development {
        /// What the environment says.
        Auto = "auto",
        /// It is.
        On = "on",
        /// It is not.
        Off = "off",
    }
}

words! {
    /// What kind of error a line of standard error stands for, in the words of the process bridge.
    SidecarErrorKind {
        /// The interpreter is not there.
        PythonNotFound = "PYTHON_NOT_FOUND",
        /// The script or program is not there.
        ScriptNotFound = "SCRIPT_NOT_FOUND",
        /// A package is not installed.
        DependencyError = "DEPENDENCY_ERROR",
        /// Somebody else listens on the port.
        PortInUse = "PORT_IN_USE",
        /// The process could not be started.
        ProcessSpawnError = "PROCESS_SPAWN_ERROR",
        /// The process ended.
        ProcessCrash = "PROCESS_CRASH",
        /// The process does not answer in time.
        HealthCheckTimeout = "HEALTH_CHECK_TIMEOUT",
        /// Something cannot be reached.
        NetworkError = "NETWORK_ERROR",
        /// Anything else.
        UnknownError = "UNKNOWN_ERROR",
    }
}

section! {
    /// A local process that Breakwater starts, watches and starts again, by name, and that serves an upstream: a `script`, a `command`, or, run by somebody else, an `external_url`.
    /// Relative paths begin where Breakwater was started.
    Sidecar = "sidecars" named {
        /// The script that is run by an interpreter (`pythonScript`).
        script: Option<PathBuf> = "" (Restart);
        /// A program and its arguments, instead of a script. `{port}`, `{host}` and `{instance}` are filled in. A program with a slash begins in the working directory, another is looked up in `PATH`.
        command: Vec<String> = "[]" (Restart);
        /// Arguments of the script, filled in likewise.
        args: Vec<String> = "[]" (Restart);
        /// Interpreter of the script, found like the program of a `command`. Not set: the one of `virtualenv`, else what the script's extension says.
        interpreter: Option<String> = "" (Restart);
        /// The folder of a Python virtual environment that it runs in.
        virtualenv: Option<PathBuf> = "" (Restart);
        /// The oldest version of the interpreter that will do. Of a `command`, its program must be one, or `virtualenv` be set.
        minimum_version: Option<Version> = "" (Restart);
        /// Packages that must be there before it is started, such as `["flask", "flask_cors"]`. Of a `command`, its program must be an interpreter, or `virtualenv` be set.
        imports: Vec<String> = "[]" (Restart);
        /// Where it runs. Not set: the folder of the script, or where Breakwater was started.
        working_dir: Option<PathBuf> = "" (Restart);
        /// Variables of its environment, stronger than those of `env_file`, which are stronger than Breakwater's own. `PORT` and `FLASK_PORT` are each process's own. `breakwater config show` prints them: secrets belong in `env_file`.
        environment: BTreeMap<String, String> = "{}" (Restart);
        /// A file of variables, `NAME=value` a line. Not set: `.env` in its working directory, if that is there.
        env_file: Option<PathBuf> = "" (Restart);
        /// The address it listens on. Anything but a loopback address lets others reach it past Breakwater.
        host: IpAddr = r#""127.0.0.1""# (Restart);
        /// The port of its first instance; each further one has the next. 0: a free one at each start.
        /// Not set: `FLASK_PORT` of `environment`, else of the file of variables, else of Breakwater's environment, else 5001.
        port: Option<u16> = "" (Restart);
        /// How many processes share its calls.
        instances: u32 = "1" in "1" to "64" (Restart);
        /// Whether it is handed its port open, as file descriptor 3 (`LISTEN_FDS`, as systemd does), so that nobody else can take it.
        pass_socket: bool = "false" (Restart);
        /// The base URL of one that somebody else runs (`externalUrl`). It is checked, not started; what concerns a process is not used then.
        external_url: Option<BaseUrl> = "" (Restart);
        /// The upstream that it serves. Not set: the one of its own name.
        upstream: Option<String> = "" (Restart);
        /// How it is seen that it can be used: `http` by its health route, `tcp` by a connection, `line` by a line it writes, `request` by real work.
        readiness: SidecarReadiness = r#""http""# (Restart);
        /// What is fetched for `http`; a status below 400 is good.
        health_path: String = r#""/health""# (Restart);
        /// For `line`: a regular expression that is found in a line of its standard output.
        ready_line: Option<String> = "" (Restart);
        /// For `request`: the method.
        request_method: RequestMethod = r#""POST""# (Restart);
        /// For `request`: the path; a status below 400 is good.
        request_path: Option<String> = "" (Restart);
        /// For `request`: the JSON that is sent.
        request_body: Option<JsonText> = "" (Restart);
        /// The longest that becoming ready may take, all attempts together (`healthCheckTimeout`).
        health_check_timeout: Duration = r#""10s""# in r#""10ms""# to r#""1h""# (Restart);
        /// The wait before the second attempt (`healthCheckInterval`).
        health_check_interval: Duration = r#""500ms""# in r#""1ms""# to r#""10m""# (Restart);
        /// How much longer each further wait is.
        health_check_factor: f64 = "1.2" in "1.0" to "10.0" (Restart);
        /// The longest wait between two attempts.
        health_check_max_interval: Duration = r#""2s""# in r#""1ms""# to r#""10m""# (Restart);
        /// The most attempts (`healthCheckMaxRetries`).
        health_check_max_retries: u32 = "20" in "1" to "100000" (Restart);
        /// The longest that one attempt may take.
        health_attempt_timeout: Duration = r#""2s""# in r#""1ms""# to r#""10m""# (Restart);
        /// Time between two checks once it is ready.
        live_interval: Duration = r#""5s""# in r#""10ms""# to r#""24h""# (Restart);
        /// Failed checks in a row after which it is started again; 0 checks nothing.
        live_failures: u32 = "3" in "0" to "1000" (Restart);
        /// How long it has to end by itself before it is killed (`shutdownTimeout`).
        shutdown_timeout: Duration = r#""5s""# in r#""0s""# to r#""10m""# (Restart);
        /// How long calls that run have to end before a process is stopped.
        drain_timeout: Duration = r#""10s""# in r#""0s""# to r#""1h""# (Restart);
        /// Whether all it writes is in the log (`isDevelopment`). `auto`: unless `NODE_ENV`, `FLASK_ENV` or `BREAKWATER_ENV`, in its environment, is `production`.
        development: Development = r#""auto""# (Restart);
        /// Whether it is started again when it ends or fails by itself (`autoRestart`). Not set: as `development`.
        auto_restart: Option<bool> = "" (Restart);
        /// How often in a row it is started again (`maxRestartAttempts`).
        max_restart_attempts: u32 = "3" in "0" to "1000000" (Restart);
        /// The wait before that (`restartDelay`); it doubles with each time.
        restart_delay: Duration = r#""2s""# in r#""0s""# to r#""10m""# (Restart);
        /// The longest wait before it is started again.
        max_restart_delay: Duration = r#""1m""# in r#""0s""# to r#""1h""# (Restart);
        /// How long it must have been ready for its failures to be forgotten.
        stable_after: Duration = r#""30s""# in r#""0s""# to r#""24h""# (Restart);
        /// Failures in a row that look the same after which it is not started again; 0 always tries.
        crash_loop_limit: u32 = "3" in "0" to "1000000" (Restart);
        /// The most starts of a process within `start_window`, whatever for.
        start_limit: u32 = "20" in "1" to "1000000" (Restart);
        /// See `start_limit`.
        start_window: Duration = r#""1m""# in r#""1s""# to r#""24h""# (Restart);
        /// The memory that one of its processes may use, with all that it starts; a process that uses more is started again. Not set: any.
        memory_limit: Option<ByteSize> = "" in r#""1MiB""# to r#""4096GiB""# (Restart);
        /// Sidecars that must be ready before it is started.
        depends_on: Vec<String> = "[]" (Restart);
        /// What else lines of its standard error stand for: regular expressions, each with a kind of error. They are looked at before those built in.
        patterns: BTreeMap<String, SidecarErrorKind> = "{}" (Restart);
        /// Requests to Breakwater at or below this path are passed through to it. Of two prefixes the longer one counts; Breakwater's own routes come first.
        route_prefix: Option<String> = "" (Restart);
        /// Whether the prefix is taken off the path before.
        strip_prefix: bool = "false" (Restart);
        /// Whether it starts with Breakwater.
        autostart: bool = "true" (Restart);
    }
}
