//! The port.

use dragentity_core::{Error, Result};
use std::net::SocketAddr;

/// Takes the port, and says which it is where any free one was wanted.
///
/// # Errors
/// [`Error::Job`], with what to choose instead.
pub fn listen(wanted: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr)> {
    let cannot = |e: std::io::Error| {
        Error::Job(match e.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{wanted} is in use, perhaps by another dragentity; stop it, or choose another port with --port"
            ),
            std::io::ErrorKind::PermissionDenied => {
                format!("{wanted} is not open to this user; choose a port above 1023 with --port")
            }
            std::io::ErrorKind::AddrNotAvailable => format!(
                "{wanted} is no address of this machine; give one that is, or 0.0.0.0 for all, with --listen"
            ),
            _ => format!("{wanted} cannot be listened on ({e}); choose another port with --port"),
        })
    };
    let listener = std::net::TcpListener::bind(wanted).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok((listener, address))
}
