//! One thread for each device: takes a job, runs it, takes the next.

use super::entry::Extras;
use super::queue::{Queue, Ticket};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::job::Reference;
use dragentity_networks::device::Device;
use dragentity_pipeline::at_once::{self, AtOnce};
use dragentity_pipeline::model::{About, Kind, ModelOptions};
use dragentity_pipeline::runner::{Runner, with_runner};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// Bytes of its thread's stack: as much as a program's first thread has. Networks are handed on by value while they are loaded.
const STACK: usize = 8 << 20;

/// A device that takes jobs.
pub struct Worker {
    /// The device, in words.
    pub name: String,
    /// Ends when the queue has stopped.
    pub thread: JoinHandle<()>,
}

/// Starts a thread that runs the jobs of `queue` on `device` with `model`, which is loaded when the first job comes.
///
/// # Errors
/// [`Error::Device`] when there is no such device.
pub fn start(device: Device, model: &ModelOptions, queue: &Arc<Queue>) -> Result<Worker> {
    let (ready, known) = mpsc::channel();
    let (options, queue) = (model.clone(), queue.clone());
    let about = pollster::block_on(About::read(model));
    let is_at_once = about.is_ok_and(|about| about.kind == Kind::AtOnce);
    let thread = std::thread::Builder::new()
        .name(format!("{device} jobs"))
        .stack_size(STACK)
        .spawn(move || {
            let worked = with_runner(device, &options, |runner| {
                let _ = ready.send(Ok(runner.device_name().to_owned()));
                work(runner, &queue, is_at_once);
            });
            if let Err(error) = worked {
                // The one who waits for it may have given up.
                let _ = ready.send(Err(error));
            }
        })
        .map_err(|e| Error::Device(format!("no thread for {device} ({e}); try again")))?;
    let name = known
        .recv()
        .unwrap_or_else(|_| Err(Error::Device(format!("{device} could not be set up"))))?;
    Ok(Worker { name, thread })
}

/// Takes jobs until the queue has stopped.
fn work(runner: &mut dyn Runner, queue: &Queue, is_at_once: bool) {
    let at_once = AtOnce::default();
    while let Some(ticket) = queue.take() {
        let entry = &ticket.entry;
        let outcome = made(runner, &ticket, &at_once, is_at_once);
        if let Err(error) = &outcome {
            log::info!("job {}: {error}", entry.id);
        }
        match outcome {
            Ok((video, reference)) => entry.end(Ok(video), reference),
            Err(error) => entry.end(Err(error), None),
        }
    }
}

/// A job's video, and what others would follow, as large as that, if it was asked for. What is made at once is that itself.
fn made(
    runner: &mut dyn Runner,
    ticket: &Ticket<'_>,
    at_once: &AtOnce,
    is_at_once: bool,
) -> Result<(Video, Option<Reference>)> {
    let Ticket { entry, job, .. } = ticket;
    let mut tell = |event| entry.tell(event);
    let cancel = entry.cancel();
    let Extras {
        reference,
        interpolate,
    } = entry.extras;
    let follow = |size, tell: &mut dyn FnMut(_)| {
        pollster::block_on(at_once.reference(job, size, cancel, tell))
    };
    let (video, reference) = match (reference, is_at_once) {
        (false, _) => (runner.run(job, cancel, &mut tell)?, None),
        (true, true) => {
            let reference = follow(at_once::size(job), &mut tell)?;
            (reference.video.clone(), Some(reference))
        }
        (true, false) => {
            let video = runner.run(job, cancel, &mut tell)?;
            let reference = follow([video.width, video.height], &mut tell)?;
            (video, Some(reference))
        }
    };
    let video = match interpolate {
        Some(factor) => runner.smooth(&video, factor, cancel, &mut tell)?,
        None => video,
    };
    Ok((video, reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_an_error_at_once() {
        let queue = Arc::new(Queue::new(1));
        let model = ModelOptions::new("m");
        #[cfg(not(feature = "cuda"))]
        assert!(matches!(
            start(Device::Cuda { index: 0 }, &model, &queue),
            Err(Error::Device(_))
        ));
        let worker = start(Device::CPU, &model, &queue).unwrap();
        assert!(worker.name.contains("CPU"));
        queue.stop();
        worker.thread.join().unwrap();
    }
}
