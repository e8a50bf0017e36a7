//! One thread for each device: takes a job, runs it, takes the next.

use super::queue::Queue;
use dragentity_core::error::{Error, Result};
use dragentity_networks::device::Device;
use dragentity_pipeline::model::ModelOptions;
use dragentity_pipeline::runner::{Runner, with_runner};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

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
    let thread = std::thread::Builder::new()
        .name(format!("{device} jobs"))
        .spawn(move || {
            let worked = with_runner(device, &options, |runner| {
                let _ = ready.send(Ok(runner.device_name().to_owned()));
                work(runner, &queue);
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
fn work(runner: &mut dyn Runner, queue: &Queue) {
    while let Some(ticket) = queue.take() {
        let entry = &ticket.entry;
        let outcome = runner.run(&ticket.job, entry.cancel(), &mut |event| entry.tell(event));
        if let Err(error) = &outcome {
            log::info!("job {}: {error}", entry.id);
        }
        entry.end(outcome);
    }
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
