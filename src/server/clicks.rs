//! Masks of clicks, for pages on slower machines: one thread beside those of the jobs, so that no click waits for a video.

use dragentity_core::Cancel;
use dragentity_core::ClickJob;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Mask;
use dragentity_networks::device::Device;
use dragentity_networks::sam::SamConfig;
use dragentity_networks::weights::Weights;
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::with_runner;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use tokio::sync::oneshot;

/// Clicks that wait for their masks.
const WAITING: usize = 8;

/// A thread that makes masks; it ends when this is dropped.
pub struct Clicks {
    /// What makes them.
    pub name: String,
    asks: SyncSender<Ask>,
}

struct Ask {
    job: ClickJob,
    cancel: Cancel,
    reply: oneshot::Sender<Result<Mask>>,
}

/// Cancels what nobody waits for any more.
struct Wanted(Cancel);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Why there is no mask.
pub enum NoMask {
    /// Others are waiting, too many of them.
    Busy,
    /// It could not be made.
    Failed(Error),
}

impl Clicks {
    /// On `device`, if there is a segmenter among the options. Its weights' header is read now, the rest at the first click.
    ///
    /// # Errors
    /// [`Error::Model`] and [`Error::Io`] for weights that are none, [`Error::Device`] where there can be no thread.
    pub fn start(device: Device, options: &ModelOptions) -> Result<Option<Self>> {
        let Some(location) = &options.segmenter else {
            return Ok(None);
        };
        let weights = pollster::block_on(Weights::open(location, &mut |_, _| {}))?;
        let name = SamConfig::of(&weights)?.name();
        let (asks, asked) = mpsc::sync_channel(WAITING);
        let options = options.clone();
        std::thread::Builder::new()
            .name(format!("{device} clicks"))
            .spawn(move || work(device, &options, &asked))
            .map_err(|e| Error::Device(format!("no thread for clicks ({e}); try again")))?;
        Ok(Some(Self { name, asks }))
    }

    /// Waits for a mask. Who stops waiting has it cancelled.
    pub async fn mask(&self, job: ClickJob) -> std::result::Result<Mask, NoMask> {
        let (reply, answer) = oneshot::channel();
        let cancel = Cancel::new();
        let _wanted = Wanted(cancel.clone());
        let gone = || Error::Device("what makes masks has stopped; start the server again".into());
        match self.asks.try_send(Ask { job, cancel, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(NoMask::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(NoMask::Failed(gone())),
        }
        match answer.await {
            Ok(mask) => mask.map_err(NoMask::Failed),
            Err(_) => Err(NoMask::Failed(gone())),
        }
    }
}

fn work(device: Device, options: &ModelOptions, asked: &Receiver<Ask>) {
    let worked = with_runner(device, options, |runner| {
        while let Ok(Ask { job, cancel, reply }) = asked.recv() {
            // One that was given up while it waited costs nothing.
            let mask = match cancel.is_cancelled() {
                true => Err(Error::Cancelled),
                false => runner.segment(&job, &cancel, &mut |_| {}),
            };
            let _ = reply.send(mask);
        }
    });
    if let Err(error) = worked {
        log::error!("clicks: {error}");
    }
}
