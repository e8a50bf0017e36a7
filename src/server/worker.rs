//! One thread for each device: takes a job, runs it, takes the next.

use super::queue::{Queue, Ticket};
use crate::device::{Device, Task};
use crate::error::{Error, Result};
use crate::pipeline::Video;
use crate::pipeline::model::Model;
use burn::tensor::backend::Backend;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// A device that takes jobs.
pub struct Worker {
    /// The device, in words.
    pub name: String,
    /// Ends when the queue has stopped.
    pub thread: JoinHandle<()>,
}

/// Starts a thread that runs the jobs of `queue` on `device`, with the model in directory `model`. That is loaded when
/// the first job comes.
///
/// # Errors
/// [`Error::Device`] when there is no such device.
pub fn start(device: Device, model: &str, queue: &Arc<Queue>) -> Result<Worker> {
    let (ready, known) = mpsc::channel();
    let work = Work {
        model: model.to_owned(),
        queue: queue.clone(),
        ready: ready.clone(),
    };
    let thread = std::thread::Builder::new()
        .name(format!("{device} jobs"))
        .spawn(move || {
            if let Err(error) = device.run(work) {
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

struct Work {
    model: String,
    queue: Arc<Queue>,
    ready: mpsc::Sender<Result<String>>,
}

impl Task for Work {
    type Output = ();

    fn run<B: Backend>(self, device: B::Device, name: String) {
        let _ = self.ready.send(Ok(name.clone()));
        drop(self.ready);
        let mut loaded: Option<Model<B>> = None;
        while let Some(ticket) = self.queue.take() {
            let outcome = guarded(&name, || {
                pollster::block_on(run(&mut loaded, &self.model, &device, &name, &ticket))
            });
            // What is on a device that failed is not to be trusted.
            if let Err(Error::Device(_)) = outcome {
                loaded = None;
            }
            if let Err(error) = &outcome {
                log::info!("job {}: {error}", ticket.entry.id);
            }
            ticket.entry.end(outcome);
        }
    }
}

/// What `work` returns; a job that panics must not take its device with it.
fn guarded(name: &str, work: impl FnOnce() -> Result<Video>) -> Result<Video> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .and_then(|what| what.lines().next())
            .unwrap_or("no reason given");
        Err(Error::Device(format!(
            "{name} failed ({what}); try again, with fewer frames or a smaller picture if it stays so"
        )))
    })
}

/// Runs one job, on the model that is loaded or is loaded now.
async fn run<B: Backend>(
    loaded: &mut Option<Model<B>>,
    location: &str,
    device: &B::Device,
    name: &str,
    ticket: &Ticket<'_>,
) -> Result<Video> {
    let entry = &ticket.entry;
    let model = match loaded {
        Some(model) => model,
        None => {
            let on_message = &mut |message| entry.message(message);
            let name = name.to_owned();
            loaded.insert(Model::load(location, device.clone(), name, on_message).await?)
        }
    };
    model
        .run(&ticket.job, entry.cancel(), &mut |message| {
            entry.message(message);
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_device() {
        let said = |work: fn() -> Result<Video>| guarded("GPU", work).err().unwrap().to_string();
        assert!(
            said(|| panic!("out of memory\nin a kernel")).contains("GPU failed (out of memory)")
        );
        let dynamic = said(|| panic!("{} bytes", 7));
        assert!(dynamic.contains("(7 bytes)"), "{dynamic}");
        assert_eq!(said(|| Err(Error::Cancelled)), "cancelled");
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_at_once() {
        let queue = Arc::new(Queue::new(1));
        #[cfg(not(feature = "cuda"))]
        assert!(matches!(
            start(Device::Cuda, "m", &queue),
            Err(Error::Device(_))
        ));
        let worker = start(Device::Cpu, "m", &queue).unwrap();
        assert!(worker.name.contains("CPU"));
        queue.stop();
        worker.thread.join().unwrap();
    }
}
