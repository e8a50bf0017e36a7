//! `dragentity serve`.

use super::model::{ModelArgs, SegmenterArgs};
use crate::server::{Options, Server, ServerEvent};
use dragentity_core::error::Result;
use dragentity_networks::device::Device;
use dragentity_terminal::interrupt::on_interrupts;
use dragentity_terminal::out;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Options of `dragentity serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Port; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines in, who then need the token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// What clients must know to send jobs: letters, digits and signs, without spaces [default: DRAGENTITY_TOKEN of the environment, else made up and printed where
    /// other machines are let in]
    #[arg(long)]
    token: Option<String>,
    /// Folder of the built page
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dir: PathBuf,
    /// Where to run jobs: auto, cuda, vulkan, metal, dx12, wgpu or cpu, with a number as cuda:1 or cpu:4; several, after commas, run a job each at the same time
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    device: Vec<Device>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    segmenter: SegmenterArgs,
    /// Most jobs that wait, 1 to 1000; more are turned away
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    queue: u16,
    /// Let pages from this origin (as `https://pages.example.org`) send jobs, too; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Let the page send jobs to the server at this origin (as `http://gpu.lan:8080`), too; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    connect: Vec<String>,
}

/// Serves until Ctrl-C.
///
/// # Errors
/// Those of [`Server::bind`] and [`Server::run`].
pub fn run(args: Args) -> Result<()> {
    let open = !args.listen.is_loopback();
    let told = || {
        std::env::var("DRAGENTITY_TOKEN")
            .ok()
            .filter(|t| !t.is_empty())
    };
    let token = args
        .token
        .or_else(told)
        .or_else(|| open.then(|| format!("{:032x}", rand::random::<u128>())));
    let server = Server::bind(Options {
        dir: args.dir,
        address: SocketAddr::new(args.listen, args.port),
        devices: args.device,
        model: args.segmenter.on(args.model.options()),
        queue: args.queue.into(),
        token: token.clone(),
        allow_origins: args.allow_origin,
        connect: args.connect,
    })?;
    let mut lines = format!(
        "DragEntity is at http://{}/ (Ctrl-C stops it)\nJobs: {}\n",
        server.address(),
        server.jobs()
    );
    if let Some(segmenter) = server.segmenter() {
        lines += &format!("Clicks: {segmenter}\n");
    }
    if let Some(token) = token {
        lines += &format!("Token: {token}\n");
    }
    let (stop, stops) = tokio::sync::watch::channel(0);
    on_interrupts(2, move |count| {
        // Nobody listening means the server has stopped already.
        let _ = stop.send(count);
    });
    // Whoever started it may have stopped listening; that is no reason to end.
    let _ = out::attempt(lines);
    server.run(stops, &mut |event| out::aside(words(event)))
}

/// What the server says, for the one who stops it.
fn words(event: ServerEvent) -> String {
    match event {
        ServerEvent::Stopping => {
            "Stopping when the running job is done, no more are taken. Ctrl-C again cancels it."
                .into()
        }
        ServerEvent::Cancelling => "Cancelling the running job.".into(),
        ServerEvent::LastCall(left) => format!(
            "The job is done; its video can be fetched for {} s more.",
            left.as_secs()
        ),
    }
}
