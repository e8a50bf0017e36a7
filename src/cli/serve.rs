//! `dragentity serve`.

use super::interrupt::on_interrupt;
use crate::error::Result;
use crate::server::Server;
use std::path::PathBuf;

/// Options of `dragentity serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Folder of the built page
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dir: PathBuf,
}

/// Serves until Ctrl-C.
pub fn run(args: Args) -> Result<()> {
    let server = Server::bind(&args.dir, args.port)?;
    println!(
        "DragEntity is at http://{}/ (Ctrl-C stops it)",
        server.address()
    );
    let (stop, stopped) = tokio::sync::oneshot::channel();
    on_interrupt(move || {
        // Nobody listening means the server has stopped already.
        let _ = stop.send(());
    });
    server.run(async {
        // An error means that the handler is gone, which it never is.
        let _ = stopped.await;
    })
}
