//! Several GPUs in one process: each makes the gradients of its share of a step's batches, with a copy of the network, and
//! the first adds them up and takes the step; nothing but parameters and gradients goes from one to another. This is how
//! Burn's learner trains on several devices (`MultiDevicesTrainStep` of `burn-train`). A step is the same, whatever the
//! number of devices: its batches are shared out, not multiplied.

use super::stage::Stage;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend, Device, DeviceId, DeviceOps};
use dragentity_core::Error;
use dragentity_core::Result;
use std::thread;

/// The devices beside the first.
pub struct Peers<B: AutodiffBackend, S> {
    /// The first.
    home: B::Device,
    /// Each with its copy of what a stage only reads.
    others: Vec<(S, B::Device)>,
}

/// Loss and gradients of one batch.
pub type Made = (f64, GradientsParams);

/// `count` devices, the first of which is `first`, and the others those after it.
///
/// # Errors
/// [`Error::Device`] where there are not as many.
pub fn devices<B: Backend>(first: &B::Device, count: usize) -> Result<Vec<B::Device>> {
    let id = first.id();
    let (count, there) = (count.max(1), B::device_count(id.type_id));
    if count > 1 && usize::from(id.index_id) + count > there {
        return Err(Error::Device(format!(
            "--gpus {count}: of this kind of device there are {there} here, and training begins with number {}; ask \
             for fewer, or choose --device cuda on a machine with several",
            id.index_id
        )));
    }
    let device = |n: usize| B::Device::from_id(DeviceId::new(id.type_id, id.index_id + n as u16));
    Ok((0..count).map(device).collect())
}

impl<B: AutodiffBackend, S: Stage<B> + Send> Peers<B, S> {
    /// For `stage`, which is on the first of `devices`.
    ///
    /// # Errors
    /// [`Error::Job`] for a stage that is trained on one device only, or where `accumulate` batches cannot be shared out
    /// equally.
    pub fn of(stage: &S, devices: &[B::Device], accumulate: usize) -> Result<Self> {
        let count = devices.len();
        if !accumulate.is_multiple_of(count) {
            return Err(Error::Job(format!(
                "the {accumulate} batches of a step cannot be shared out equally among {count} GPUs: use --accumulate \
                 {count} or a multiple of it"
            )));
        }
        let other = |device: &B::Device| Ok((stage.on(device)?, device.clone()));
        Ok(Self {
            home: devices[0].clone(),
            others: devices[1..].iter().map(other).collect::<Result<_>>()?,
        })
    }

    /// How many batches are made at once.
    pub fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// Calls `make` with one batch for each device, and the batch's place among them: on this thread for `stage`, on
    /// threads of their own for the others, whose gradients are brought here. The results are in the batches' order.
    ///
    /// # Errors
    /// The first of those of `make`.
    pub fn share_out<E: Send>(
        &mut self,
        stage: &S,
        network: &S::Network,
        batches: Vec<S::Batch>,
        make: impl Fn(&S, &S::Network, S::Batch, usize) -> Result<Made, E> + Sync,
    ) -> Result<Vec<Made>, E> {
        let (make, home) = (&make, &self.home);
        let mut batches = batches.into_iter();
        let own = batches.next();
        thread::scope(|scope| {
            let mut running = Vec::new();
            for (at, (other, batch)) in (1..).zip(self.others.iter_mut().zip(batches)) {
                // Forked, not moved: gradients are asked of the copy's own parameters.
                let copy = network.clone().fork(&other.1);
                running.push(scope.spawn(move || {
                    let (loss, gradients) = make(&other.0, &copy, batch, at)?;
                    Ok((loss, gradients.to_device::<B, _>(home, &copy)))
                }));
            }
            let own = own.map(|batch| make(stage, network, batch, 0));
            let joined = running.into_iter().map(|thread| match thread.join() {
                Ok(made) => made,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            own.into_iter().chain(joined).collect()
        })
    }
}
