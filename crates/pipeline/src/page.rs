//! A model in a page, on whichever device the browser has. No generics: the networks are compiled for both backends here,
//! once, and a change to the page does not compile them again.

use crate::engine::{Engine, Observer};
use crate::segmenter::Segmenter;
use burn::backend::wgpu::WgpuDevice;
use burn::tensor::backend::Backend;
use dragentity_core::scene::{Mask, Part, Picture};
use dragentity_core::{Cancel, ClickJob, Job, JobEvent, Result, Video};
use dragentity_networks::device::{Cpu, Gpu, cpu_device_name};
use dragentity_networks::weights::Weights;
use std::future::Future;
use std::pin::Pin;

/// Work that goes on while the page lives: it gives way to others between its steps. Boxed, since a future whose type others
/// see is compiled where it is waited for.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A loaded model on its device.
pub struct PageModel(Place);

enum Place {
    Cpu(Box<On<Cpu>>),
    Gpu(Box<On<Gpu>>),
}

/// A model, and what makes masks in place of its click head.
struct On<B: Backend> {
    engine: Engine<B>,
    segmenter: Option<Segmenter<B>>,
}

impl PageModel {
    /// Loads the model at `address` onto the CPU.
    ///
    /// # Errors
    /// Those of [`Engine::load`].
    pub fn on_cpu<'a>(address: &'a str, on_event: &'a mut dyn FnMut(JobEvent)) -> Work<'a, Self> {
        Box::pin(async move {
            let name = cpu_device_name();
            let on = On::load(address, Default::default(), name, on_event).await?;
            Ok(Self(Place::Cpu(on)))
        })
    }

    /// Loads the model at `address` onto a GPU that Burn knows, called `name` in words.
    ///
    /// # Errors
    /// Those of [`Engine::load`].
    pub fn on_gpu<'a>(
        address: &'a str,
        device: WgpuDevice,
        name: String,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, Self> {
        Box::pin(async move {
            let on = On::load(address, device, name, on_event).await?;
            Ok(Self(Place::Gpu(on)))
        })
    }

    /// Has masks made with these weights, or with the model's click head again; says what makes them then.
    ///
    /// # Errors
    /// Those of [`Segmenter::load`].
    pub fn take_segmenter<'a>(
        &'a mut self,
        weights: Option<&'a Weights>,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, Option<String>> {
        Box::pin(async move {
            match &mut self.0 {
                Place::Cpu(on) => on.take_segmenter(weights, on_event).await,
                Place::Gpu(on) => on.take_segmenter(weights, on_event).await,
            }
        })
    }

    /// The mask of what was clicked.
    ///
    /// # Errors
    /// Those of [`Segmenter::segment`] and [`Engine::segment`].
    pub fn segment<'a>(
        &'a mut self,
        job: &'a ClickJob,
        cancel: &'a Cancel,
        on_event: &'a mut dyn FnMut(JobEvent),
    ) -> Work<'a, Mask> {
        Box::pin(async move {
            match &mut self.0 {
                Place::Cpu(on) => on.segment(job, cancel, on_event).await,
                Place::Gpu(on) => on.segment(job, cancel, on_event).await,
            }
        })
    }

    /// The parts of the person under a mask.
    ///
    /// # Errors
    /// Those of [`Engine::parts`].
    pub fn parts<'a>(
        &'a mut self,
        picture: &'a Picture,
        mask: &'a Mask,
    ) -> Work<'a, Vec<(Part, Mask)>> {
        Box::pin(async move {
            match &mut self.0 {
                Place::Cpu(on) => on.engine.parts(picture, mask).await,
                Place::Gpu(on) => on.engine.parts(picture, mask).await,
            }
        })
    }

    /// Runs a job. On a GPU the observer may look at frames where they are.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub fn run<'a>(
        &'a self,
        job: &'a Job,
        cancel: &'a Cancel,
        observer: &'a mut dyn Observer<Gpu>,
    ) -> Work<'a, Video> {
        Box::pin(async move {
            match &self.0 {
                Place::Cpu(on) => {
                    let mut tell = |event: JobEvent| observer.event(event);
                    on.engine.run(job, cancel, &mut tell).await
                }
                Place::Gpu(on) => on.engine.run(job, cancel, observer).await,
            }
        })
    }
}

impl<B: Backend> On<B> {
    async fn load(
        address: &str,
        device: B::Device,
        name: String,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Box<Self>> {
        Ok(Box::new(Self {
            engine: Engine::load(address, device, name, on_event).await?,
            segmenter: None,
        }))
    }

    async fn take_segmenter(
        &mut self,
        weights: Option<&Weights>,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Option<String>> {
        // The old one's memory first.
        self.segmenter = None;
        let Some(weights) = weights else {
            return Ok(None);
        };
        let device = self.engine.bundle().device.clone();
        let segmenter = Segmenter::load(weights, &device, on_event).await?;
        let name = segmenter.name();
        self.segmenter = Some(segmenter);
        Ok(Some(name))
    }

    async fn segment(
        &mut self,
        job: &ClickJob,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(JobEvent),
    ) -> Result<Mask> {
        let previous = job.previous.as_ref();
        match &mut self.segmenter {
            Some(segmenter) => {
                segmenter
                    .segment(&job.picture, &job.clicks, previous, cancel, on_event)
                    .await
            }
            None => {
                self.engine
                    .segment(&job.picture, &job.clicks, previous)
                    .await
            }
        }
    }
}
