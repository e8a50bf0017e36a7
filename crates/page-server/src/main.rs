//! Serves the built page, and nothing else (see `dragentity-page --help`).

use dragentity_core::Result;
use dragentity_page_server::{Jobs, Page, listen, serve};
use dragentity_terminal::{finish, interrupt::on_interrupt, out, start};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

/// Serve the built page of DragEntity. Videos are made in the browser; `dragentity serve` runs jobs, too.
#[derive(clap::Parser)]
#[command(name = "dragentity-page", version)]
struct Args {
    /// Port; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines open the page
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Folder of the built page
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dir: PathBuf,
    /// Let the page send jobs to the server at this origin; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    connect: Vec<String>,
}

fn main() -> ExitCode {
    finish(run(start()))
}

/// Serves until Ctrl-C.
fn run(args: Args) -> Result<()> {
    let page = Page::new(&args.dir, &args.connect, Jobs::Nowhere)?;
    let (listener, address) = listen(SocketAddr::new(args.listen, args.port))?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    on_interrupt(move || {
        // Nobody listening means the server has stopped already.
        let _ = stop.send(());
    });
    // Whoever started it may have stopped listening; that is no reason to end.
    let _ = out::attempt(format_args!(
        "DragEntity is at http://{address}/ (Ctrl-C stops it)\n"
    ));
    serve(page, listener, stopped)
}
