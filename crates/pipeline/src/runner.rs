//! A model on a device that runs jobs one after another: for the command line, batches and the server alike.

use super::interpolate::Interpolator;
use super::measure::{Measures, Progress, measure};
use super::model::{About, Kind, Model, ModelOptions};
use super::segmenter::Segmenter;
use burn::tensor::backend::Backend;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::Mask;
use dragentity_core::{Cancel, ClickJob, Job, JobEvent, Video};
use dragentity_networks::device::{Device, Task};
use dragentity_networks::weights::Weights;
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
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Video>;

    /// Makes the mask of what was clicked, with [`ModelOptions::segmenter`], which is loaded at the first one; what it
    /// knows of a picture is kept for further clicks.
    ///
    /// # Errors
    /// [`Error::Job`] where no segmenter is named, those of [`Segmenter::load`] and [`Segmenter::segment`], and
    /// [`Error::Device`] when the device or its driver gives up.
    fn segment(
        &mut self,
        job: &ClickJob,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Mask>;

    /// Makes frames between the frames of a video, with [`ModelOptions::interpolator`], so that it has `factor` times as many a
    /// second.
    ///
    /// # Errors
    /// [`Error::Job`] where no weights for it are named, those of [`Interpolator::load`] and [`Interpolator::smooth`], and
    /// [`Error::Device`] when the device or its driver gives up.
    fn smooth(
        &mut self,
        video: &Video,
        factor: u32,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Video>;

    /// What the device is good for ([`measure`]); what is loaded stays loaded.
    ///
    /// # Errors
    /// Those of [`measure`], and [`Error::Device`] when the device or its driver gives up.
    fn measure(&mut self, cancel: &Cancel, progress: Progress<'_>) -> Result<Measures>;
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
    let (mut work, mut done) = (Some(work), None);
    on_device(device, options, &mut |runner| {
        done = work.take().map(|work| work(runner));
    })?;
    // Whichever device it was, it called once.
    done.ok_or_else(|| Error::Device("it did nothing: choose another --device".into()))
}

/// [`with_runner`] without generics: the networks are compiled for each backend here, once, not in every crate that calls.
fn on_device(
    device: Device,
    options: &ModelOptions,
    work: &mut dyn FnMut(&mut dyn Runner),
) -> Result<()> {
    struct With<'a> {
        options: &'a ModelOptions,
        free_memory: Box<dyn Fn() -> Option<u64>>,
        work: &'a mut dyn FnMut(&mut dyn Runner),
    }

    impl Task for With<'_> {
        type Output = ();

        fn run<B: Backend>(self, device: B::Device, name: String) {
            (self.work)(&mut OnBackend::<B> {
                options: self.options.clone(),
                free_memory: self.free_memory,
                device,
                name,
                model: None,
                segmenter: None,
            });
        }
    }

    // Which one `auto` is must be known, to be asked for its memory.
    let device = device.resolve();
    device.run(With {
        options,
        free_memory: Box::new(move || device.free_memory()),
        work,
    })
}

/// A runner on one backend.
struct OnBackend<B: Backend> {
    options: ModelOptions,
    free_memory: Box<dyn Fn() -> Option<u64>>,
    device: B::Device,
    name: String,
    model: Option<Model<B>>,
    segmenter: Option<Segmenter<B>>,
}

impl<B: Backend> Runner for OnBackend<B> {
    fn device_name(&self) -> &str {
        &self.name
    }

    fn run(
        &mut self,
        job: &Job,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Video> {
        loop {
            let panic = match self.attempt(job, cancel, on_event) {
                Ok(result) => {
                    if result.is_err() {
                        // The next job may be a smaller one.
                        self.options.out_of_memory = 0;
                    }
                    return result;
                }
                Err(panic) => panic,
            };
            let why = words(&*panic);
            log::warn!("{}: {why}", self.name);
            // With less at a time it may do. When there is no smaller way, the model says so.
            self.options.out_of_memory += 1;
            if !is_out_of_memory(&why) || !self.saves_memory() {
                self.options.out_of_memory = 0;
                return Err(gave_up(&self.name, &why));
            }
        }
    }

    fn segment(
        &mut self,
        job: &ClickJob,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Mask> {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            pollster::block_on(async {
                let mut segmenter = self.take_segmenter(on_event).await?;
                let mask = segmenter.segment(job, cancel, on_event).await;
                self.segmenter = Some(segmenter);
                mask
            })
        }));
        ran.unwrap_or_else(|panic| self.gave_up(&*panic))
    }

    fn smooth(
        &mut self,
        video: &Video,
        factor: u32,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Video> {
        let none = || Error::Job("there is nothing to make frames between frames with".into());
        let location = self.options.interpolator.as_deref().ok_or_else(none)?;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            pollster::block_on(async {
                let rife = Interpolator::<B>::load(location, &self.device, on_event).await?;
                rife.smooth(video, factor, cancel, on_event).await
            })
        }));
        ran.unwrap_or_else(|panic| self.gave_up(&*panic))
    }

    fn measure(&mut self, cancel: &Cancel, progress: Progress<'_>) -> Result<Measures> {
        let name = self.name.clone();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            pollster::block_on(measure::<B>(&self.device, name, cancel, progress))
        }));
        ran.unwrap_or_else(|panic| self.gave_up(&*panic))
    }
}

/// What a backend says when it panics.
type Panic = Box<dyn Any + Send>;

impl<B: Backend> OnBackend<B> {
    /// What a panic of the backend means.
    fn gave_up<T>(&self, panic: &(dyn Any + Send)) -> Result<T> {
        let why = words(panic);
        log::warn!("{}: {why}", self.name);
        Err(gave_up(&self.name, &why))
    }

    /// Loads the model if it is not, and runs the job once. After a panic the model is gone.
    fn attempt(
        &mut self,
        job: &Job,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> std::result::Result<Result<Video>, Panic> {
        if self.model.is_none() {
            self.options.free_memory = (self.free_memory)();
        }
        // Backends panic where a driver fails or memory runs out.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            pollster::block_on(async {
                let model = self.take_model(on_event).await?;
                let mut observer = |event: JobEvent| on_event(event);
                let result = model.run(job, cancel, &mut observer).await;
                Ok((model, result))
            })
        }))?;
        Ok(ran.and_then(|(model, result)| {
            self.model = Some(model);
            result
        }))
    }

    /// The model, loaded if it is not. Until it is given back there is none: after a panic it is gone.
    async fn take_model(&mut self, on_event: &mut dyn FnMut(JobEvent)) -> Result<Model<B>> {
        if let Some(model) = self.model.take() {
            return Ok(model);
        }
        let (device, name) = (self.device.clone(), self.name.clone());
        Model::load(&self.options, device, name, on_event).await
    }

    /// As [`Self::take_model`], of the segmenter.
    async fn take_segmenter(&mut self, on_event: &mut dyn FnMut(JobEvent)) -> Result<Segmenter<B>> {
        if let Some(segmenter) = self.segmenter.take() {
            return Ok(segmenter);
        }
        let none = || {
            Error::Job(
                "there is nothing to make masks with: name SAM's or MobileSAM's weights with --segmenter".into(),
            )
        };
        let location = self.options.segmenter.as_deref().ok_or_else(none)?;
        let weights = Weights::open(location, &mut |_, _| {}).await?;
        Segmenter::load(&weights, &self.device, on_event).await
    }

    /// Whether the model has ways to do with less memory.
    fn saves_memory(&self) -> bool {
        let about = pollster::block_on(About::read(&self.options));
        about.is_ok_and(|about| about.kind == Kind::StableVideoDiffusion)
    }
}

/// What a panic of the backend means for a person.
fn gave_up(device: &str, text: &str) -> Error {
    let remedy = if is_out_of_memory(text) {
        "its memory is full: choose fewer frames, a smaller --size or --dtype int8, or close other programs that use it"
    } else {
        "try again, or use another device, as --device cpu"
    };
    Error::Device(format!("{device} gave up ({text}); {remedy}"))
}

/// The first line of what a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .and_then(|text| text.lines().next())
        .unwrap_or("it did not say why")
        .to_owned()
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
        let said = |panic: Panic| gave_up("GPU 1", &words(&*panic)).to_string();
        for full in [
            "CUDA_ERROR_OUT_OF_MEMORY",
            "Unable to allocate 3 GiB",
            "BufferTooBig(7)",
        ] {
            let text = said(Box::new(full.to_owned()));
            assert!(
                text.contains("GPU 1") && text.contains("--dtype int8"),
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
