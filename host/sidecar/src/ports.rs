//! Whether a port is free, and who has it if not.

use std::net::{SocketAddr, TcpListener};

use crate::proc;

/// Opens the port for a moment. Nothing when it is free, else who has it or why it cannot be opened.
pub(crate) fn taken(address: SocketAddr) -> Option<String> {
    let error = TcpListener::bind(address).err()?;
    Some(match error.kind() {
        std::io::ErrorKind::AddrInUse => match proc::listener(address) {
            Some((pid, name)) => format!("{name} (pid {pid}) listens on it"),
            None => "another process listens on it".to_owned(),
        },
        std::io::ErrorKind::PermissionDenied => "this user may not open it: ports below 1024 need a privilege".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    })
}

/// A port that is free at the moment. Somebody else may take it before the sidecar does, which then fails and is started with another.
pub(crate) fn free(host: std::net::IpAddr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((host, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken_by = taken(address).unwrap();
        assert!(taken_by.contains(&format!("(pid {}) listens on it", std::process::id())), "{taken_by}");
        drop(listener);
        // A process that another test starts at this moment holds it open until it has become itself.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while taken(address).is_some() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(taken(address), None);
        assert!(taken("192.0.2.1:5001".parse().unwrap()).unwrap().contains("does not have that address"));
    }
}
