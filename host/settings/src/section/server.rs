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
        /// Nobody.
        Nobody = "nobody",
    }
}

section! {
    /// Where and how the service listens.
    Server = "server" {
        /// Addresses to listen on. Port 0 picks a free one.
        listen: Vec<SocketAddr> = r#"["127.0.0.1:8080"]"# (Restart);
        /// Who may change plugins over HTTP: connections from this machine, everyone, or nobody.
        management_from: ManagementFrom = r#""loopback""# (Restart);
        /// The largest request body.
        max_body: ByteSize = r#""72MiB""# in r#""1KiB""# to r#""1GiB""# (Restart);
        /// How long a client may take to send the head of a request; also how long an idle connection is kept.
        header_timeout: Duration = r#""10s""# in r#""10ms""# to r#""10m""# (Restart);
        /// How long a client may pause while it sends a body.
        read_timeout: Duration = r#""10s""# in r#""10ms""# to r#""10m""# (Restart);
        /// The longest a request may take from its head to the head of its answer.
        request_timeout: Duration = r#""30s""# in r#""10ms""# to r#""1h""# (Restart);
        /// Connections at once; more wait in the kernel's queue.
        max_connections: usize = "1024" in "1" to "1000000" (Restart);
        /// How long requests in flight may take to end after a signal to stop; then they are cut.
        drain_timeout: Duration = r#""25s""# in r#""0s""# to r#""1h""# (Restart);
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
