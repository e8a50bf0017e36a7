//! What one stage of training is to the loop: a network, its batches and its loss.

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{FloatDType, Tensor};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_pipeline::dtype::dtype_name;
use image::RgbImage;

/// What one stage trains, and on what.
pub trait Stage<B: AutodiffBackend> {
    /// The network.
    type Network: AutodiffModule<B>;
    /// One batch on the host.
    type Batch: Send + 'static;

    /// Its name in titles and messages.
    fn name(&self) -> &'static str;
    /// Makes batch number `index`, the same for the same index; runs on a thread of its own.
    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<Self::Batch> + Send>;
    /// The mean loss of a batch, shape `[1]`.
    ///
    /// # Errors
    /// When the batch cannot be used.
    fn loss(&self, network: &Self::Network, batch: Self::Batch, step: u64) -> Result<Tensor<B, 1>>;
    /// A copy of `network` that computes in `dtype` where it can, and whose gradients are those of `network`'s
    /// parameters ([`super::gradients::lowered`]).
    ///
    /// # Errors
    /// [`Error::Job`] for networks that are trained in `f32` only.
    fn lowered(&self, network: &Self::Network, dtype: FloatDType) -> Result<Self::Network> {
        let _ = network;
        Err(Error::Job(format!(
            "the {} is trained in f32 only, not in {}: leave --dtype out",
            self.name(),
            dtype_name(dtype)
        )))
    }

    /// The same stage with all that it reads on another device, where it is trained on several at once.
    ///
    /// # Errors
    /// [`Error::Job`] for networks that are trained on one device only.
    fn on(&self, device: &B::Device) -> Result<Self>
    where
        Self: Sized,
    {
        let _ = device;
        Err(Error::Job(format!(
            "the {} is trained on one device only: leave --gpus out",
            self.name()
        )))
    }

    /// Figures on clips that were never trained on, which are worth a minute when all steps are done.
    ///
    /// # Errors
    /// Whatever the network's own use may fail with.
    fn held_out(
        &self,
        network: &<Self::Network as AutodiffModule<B>>::InnerModule,
    ) -> Result<Vec<(&'static str, f64)>> {
        let _ = network;
        Ok(Vec::new())
    }

    /// A picture of what the averaged network does, and figures for the log.
    ///
    /// # Errors
    /// Whatever the network's own use may fail with.
    #[allow(
        clippy::type_complexity,
        reason = "a pair, whose parts have names already"
    )]
    fn sample(
        &self,
        network: &<Self::Network as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)>;
}
