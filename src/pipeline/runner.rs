//! A model on a device that runs jobs one after another: for the command line, batches and the server alike.

use super::model::{Model, ModelOptions};
use super::{Cancel, Job, Message, Video};
use crate::device::{Device, Task};
use crate::{Error, Result};
use burn::tensor::backend::Backend;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs jobs in the calling thread, whatever the backend.
pub trait Runner {
    /// The device, in words.
    fn device_name(&self) -> &str;

    /// Runs a job. Loads the model at the first one, and again after a job that failed badly.
    ///
    /// # Errors
    /// Those of [`Model::load`] and [`Model::run`], and [`Error::Device`] when the device or its driver gives up.
    fn run(
        &mut self,
        job: &Job,
        cancel: &Cancel,
        on_message: &mut dyn FnMut(Message),
    ) -> Result<Video>;
}

/// Calls `work` with a runner on `device`.
///
/// # Errors
/// Those of [`Device::run`].
pub fn with_runner<T>(
    device: Device,
    options: &ModelOptions,
    work: impl FnOnce(&mut dyn Runner) -> T,
) -> Result<T> {
    struct With<'a, W> {
        options: &'a ModelOptions,
        work: W,
    }

    impl<T, W: FnOnce(&mut dyn Runner) -> T> Task for With<'_, W> {
        type Output = T;

        fn run<B: Backend>(self, device: B::Device, name: String) -> T {
            (self.work)(&mut OnBackend::<B> {
                options: self.options,
                device,
                name,
                model: None,
            })
        }
    }

    device.run(With { options, work })
}

/// A runner on one backend.
struct OnBackend<'a, B: Backend> {
    options: &'a ModelOptions,
    device: B::Device,
    name: String,
    model: Option<Model<B>>,
}

impl<B: Backend> Runner for OnBackend<'_, B> {
    fn device_name(&self) -> &str {
        &self.name
    }

    fn run(
        &mut self,
        job: &Job,
        cancel: &Cancel,
        on_message: &mut dyn FnMut(Message),
    ) -> Result<Video> {
        let model = self.model.take();
        // Backends panic where a driver fails or memory runs out. The model is gone with the panic.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            pollster::block_on(async {
                let model = match model {
                    Some(model) => model,
                    None => {
                        let (device, name) = (self.device.clone(), self.name.clone());
                        Model::<B>::load(self.options, device, name, on_message).await?
                    }
                };
                let mut observer = |message: Message| on_message(message);
                let result = model.run(job, cancel, &mut observer).await;
                Ok((model, result))
            })
        }));
        match ran {
            Ok(Ok((model, result))) => {
                self.model = Some(model);
                result
            }
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(gave_up(&self.name, &*panic)),
        }
    }
}

/// What a panic of the backend means for a person.
fn gave_up(device: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .and_then(|text| text.lines().next())
        .unwrap_or("it did not say why");
    let remedy = if is_out_of_memory(text) {
        "its memory is full: choose fewer frames, a smaller --size or --dtype f16, or close other programs that use it"
    } else {
        "try again, or use another device, as --device cpu"
    };
    Error::Device(format!("{device} gave up ({text}); {remedy}"))
}

/// Whether a backend's words mean that there was not enough memory: none of them has a type for it.
fn is_out_of_memory(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "out of memory",
        "outofmemory",
        "out_of_memory",
        "buffertoobig",
        "alloc",
    ]
    .iter()
    .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence_with_a_remedy() {
        let said = |panic: Box<dyn Any + Send>| gave_up("GPU 1", &*panic).to_string();
        for full in [
            "CUDA_ERROR_OUT_OF_MEMORY",
            "Unable to allocate 3 GiB",
            "BufferTooBig(7)",
        ] {
            let text = said(Box::new(full.to_owned()));
            assert!(
                text.contains("GPU 1") && text.contains("--dtype f16"),
                "{text}"
            );
        }
        assert!(said(Box::new("the device is lost")).contains("--device cpu"));
        assert!(said(Box::new("lost\nat line 3")).contains("(lost);"));
        assert!(said(Box::new(7)).contains("did not say"));
    }

    #[test]
    fn a_model_that_does_not_load_is_an_error_each_time() {
        let options = ModelOptions::new("no/such/model");
        let errors = with_runner(Device::CPU, &options, |runner| {
            assert!(runner.device_name().contains("CPU"));
            [(); 2].map(|()| {
                let job = Job::default();
                runner
                    .run(&job, &Cancel::new(), &mut |_| {})
                    .map(drop)
                    .unwrap_err()
                    .to_string()
            })
        })
        .unwrap();
        for error in errors {
            assert!(error.contains("no/such/model"), "{error}");
        }
    }
}
