use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::section::section;
use crate::units::ByteSize;
use crate::value::words;

words! {
    /// Who may use the management routes: changing plugins.
    ManagementFrom {
        /// Connections from this machine.
        Loopback = "loopback",
        /// Everyone who can connect.
        Any = "any",
    }
}

section! {
    /// Where and how the service listens.
    Server = "server" {
        /// Addresses to listen on. Port 0 picks a free one.
        listen: Vec<SocketAddr> = r#"["127.0.0.1:8080"]"# (Restart);
        /// Who may change plugins over HTTP: processes on this machine, or everyone. Nothing checks who asks: `any` belongs behind something that does.
        management_from: ManagementFrom = r#""loopback""# (Restart);
        /// Who may register services and send heartbeats over HTTP, likewise.
        registry_from: ManagementFrom = r#""loopback""# (Restart);
        /// Who may change products and import over HTTP, likewise.
        products_from: ManagementFrom = r#""loopback""# (Restart);
        /// The largest list of products that is sent to be imported.
        max_import: ByteSize = r#""1GiB""# in r#""1KiB""# to r#""64GiB""# (Restart);
        /// The largest request body.
        max_body: ByteSize = r#""72MiB""# in r#""1KiB""# to r#""1GiB""# (Restart);
        /// How long a client may take to send the head of a request; also how long an idle connection is kept.
        header_timeout: Duration = r#""10s""# in r#""10ms""# to r#""10m""# (Restart);
        /// The longest pause between two pieces of a body, in either direction.
        body_idle_timeout: Duration = r#""10s""# in r#""10ms""# to r#""10m""# (Restart);
        /// The longest time for the whole body of a request.
        body_timeout: Duration = r#""1m""# in r#""10ms""# to r#""1h""# (Restart);
        /// The longest a call may take once its request was read.
        request_timeout: Duration = r#""30s""# in r#""10ms""# to r#""1h""# (Restart);
        /// The largest plugin package.
        max_package: ByteSize = r#""64MiB""# in r#""1KiB""# to r#""1GiB""# (Restart);
        /// The most parts of a multipart body.
        max_fields: usize = "32" in "1" to "10000" (Restart);
        /// The largest text field of a multipart body.
        max_field: ByteSize = r#""1MiB""# in r#""1KiB""# to r#""64MiB""# (Restart);
        /// The largest head of a request.
        max_header: ByteSize = r#""32KiB""# in r#""8KiB""# to r#""1MiB""# (Restart);
        /// The most header lines of a request.
        max_headers: usize = "64" in "8" to "1024" (Restart);
        /// Calls at once; more are refused.
        max_in_flight: usize = "128" in "1" to "1000000" (Restart);
        /// Connections at once; more wait in the kernel's queue.
        max_connections: usize = "1024" in "1" to "1000000" (Restart);
        /// How long requests in flight may take to end after a signal to stop; then they are cut.
        drain_timeout: Duration = r#""20s""# in r#""0s""# to r#""1h""# (Restart);
    }
}

section! {
    /// The folder whose pictures may be named by path.
    Media = "media" {
        /// The media root. Not set: the folder `media` in the data directory.
        root: Option<PathBuf> = "" (Restart);
        /// Name of the folder below the media root that results are written to.
        output_folder: String = r#""output""# (Restart);
    }
}

section! {
    /// What survives a restart.
    Data = "data" {
        /// The data directory. Not set: `$XDG_DATA_HOME/breakwater`, else `~/.local/share/breakwater`, else `./breakwater-data`.
        dir: Option<PathBuf> = "" (Restart);
    }
}
