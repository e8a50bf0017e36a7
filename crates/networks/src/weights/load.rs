//! Tensors from a safetensors file into a network.

use super::WeightType;
use super::file::{Inner, Weights};
use super::list::{Listed, parameters};
use super::pack::Packer;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, TensorSnapshot, TensorSnapshotError};
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::yield_now;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of tensors that are put into a network at a time.
const STEP: u64 = 32 << 20;

/// What [`Weights::load`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// How many tensors went into the network.
    pub loaded: usize,
    /// Tensors of the file that the network has no place for and needs none: numbers that its configuration says
    /// already.
    pub unused: Vec<String>,
}

impl Weights {
    /// Puts the tensors into `module`, which keeps its device and gets `f32`; see [`Weights::load_with`].
    ///
    /// Names and shapes are compared before anything is read.
    ///
    /// # Errors
    /// [`Error::Model`] that names the tensors which are missing, have no place in the network (what is to be left
    /// out goes with [`Weights::renamed`]), have another shape, have no floating point type, or hold something that is
    /// not finite.
    pub fn load<B: Backend, M: Module<B>>(&self, module: M) -> Result<(M, LoadReport)> {
        let mut loading = Loading::new(self, module, WeightType::default())?;
        while loading.step()? {}
        loading.finish()
    }

    /// Whether [`Weights::load`] would find what `module` needs: names and shapes are compared, and nothing is read.
    ///
    /// # Errors
    /// [`Error::Model`] that names what does not fit.
    pub fn compare<B: Backend, M: Module<B>>(&self, module: &M) -> Result<()> {
        self.0.compare(&parameters(module))
    }

    /// As [`Weights::load`], giving way to others now and then. Where the weights are read from a disk,
    /// `progress(bytes read, bytes in all)` is told; what is in memory was fetched with progress.
    ///
    /// The module gets `dtype`, but for the parameters of its norms, which are always `f32`: norms compute in it
    /// (see `nn::precision`). Held in 8 bits, tensors that are so in the file are taken as they are, others are quantised.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub async fn load_with<B: Backend, M: Module<B>>(
        &self,
        module: M,
        dtype: impl Into<WeightType>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(M, LoadReport)> {
        let on_disk = self.0.on_disk();
        let total = self.len();
        let mut loading = Loading::new(self, module, dtype.into())?;
        if on_disk {
            progress(0, total);
        }
        while loading.step()? {
            if on_disk {
                progress(loading.bytes, total);
            }
            yield_now().await;
        }
        if on_disk {
            progress(total, total);
        }
        loading.finish()
    }
}

/// A network that gets its tensors a few at a time, so that no more of them are in memory twice.
struct Loading<M> {
    weights: Arc<Inner>,
    module: M,
    /// What it computes in.
    dtype: FloatDType,
    /// Those that it is to hold in 8 bits.
    packed: BTreeSet<String>,
    /// Those still to be read.
    names: std::vec::IntoIter<String>,
    report: LoadReport,
    /// Parameters of the network that no step has met.
    unmet: Option<BTreeSet<String>>,
    /// Bytes of the file that were read.
    bytes: u64,
}

impl<M> Loading<M> {
    fn new<B: Backend>(weights: &Weights, module: M, held: WeightType) -> Result<Self>
    where
        M: Module<B>,
    {
        let weights = Arc::clone(&weights.0);
        let wanted = parameters(&module);
        weights.compare(&wanted)?;
        let unused: Vec<String> = weights
            .tensors
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .cloned()
            .collect();
        let packable = |(name, parameter): (&String, &Listed)| {
            (held == WeightType::Int8 && parameter.is_packable(name)).then(|| name.clone())
        };
        Ok(Self {
            weights,
            dtype: device_of(&module).map_or(FloatDType::F32, |device| held.computes::<B>(&device)),
            module,
            packed: wanted.iter().filter_map(packable).collect(),
            names: wanted.into_keys().collect::<Vec<_>>().into_iter(),
            report: LoadReport { loaded: 0, unused },
            unmet: None,
            bytes: 0,
        })
    }

    /// Loads some tensors; says whether there were any.
    fn step<B: Backend>(&mut self) -> Result<bool>
    where
        M: Module<B>,
    {
        let failed = Rc::new(RefCell::new(None));
        let (mut snapshots, mut packed) = (Vec::new(), BTreeSet::new());
        let mut bytes = 0;
        while bytes < STEP
            && let Some(name) = self.names.next()
        {
            let info = &self.weights.tensors[&name].info;
            bytes += info.end - info.start;
            if self.packed.contains(&name) {
                packed.insert(name);
            } else {
                snapshots.push(snapshot(&self.weights, name, self.dtype, &failed));
            }
        }
        if snapshots.is_empty() && packed.is_empty() {
            return Ok(false);
        }
        self.bytes += bytes;
        if !packed.is_empty() {
            self.pack(packed)?;
        }
        if snapshots.is_empty() {
            return Ok(true);
        }
        let result =
            self.module
                .apply(snapshots, None, Some(Box::new(PyTorchToBurnAdapter)), false);
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let problems: Vec<String> = result.errors.iter().map(ToString::to_string).collect();
        if !problems.is_empty() {
            return Err(self.weights.error(some_of(&problems)));
        }
        self.report.loaded += result.applied.len();
        let missing = result.missing.into_iter().map(|(path, _)| path).collect();
        self.unmet = Some(match self.unmet.take() {
            None => missing,
            Some(unmet) => &unmet & &missing,
        });
        Ok(true)
    }

    /// Loads those that are held in 8 bits.
    fn pack<B: Backend>(&mut self, names: BTreeSet<String>) -> Result<()>
    where
        M: Module<B>,
    {
        self.report.loaded += names.len();
        let mut packer = Packer::new(&self.weights, names, self.dtype);
        self.module = self.module.clone().map(&mut packer);
        packer.error.map_or(Ok(()), Err)
    }

    fn finish(self) -> Result<(M, LoadReport)> {
        // Parameters that are no floating point numbers are in no list of wanted ones.
        let unmet = self.unmet.into_iter().flatten();
        let unmet: Vec<String> = unmet.filter(|name| !self.packed.contains(name)).collect();
        if !unmet.is_empty() {
            return Err(self
                .weights
                .error(format!("the file lacks {}", some_of(&unmet))));
        }
        Ok((self.module, self.report))
    }
}

/// The device of a module that has any parameters, without drawing them.
fn device_of<B: Backend, M: Module<B>>(module: &M) -> Option<B::Device> {
    struct First<D>(Option<D>);

    impl<B: Backend> ModuleVisitor<B> for First<B::Device> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.get_or_insert_with(|| param.lazy_device());
        }
    }

    let mut first = First(None);
    module.visit(&mut first);
    first.0
}

/// Whether a tensor says nothing that the configuration does not: older versions of transformers save the numbers from
/// 0 on.
fn is_derived(name: &str) -> bool {
    name.rsplit('.').next() == Some("position_ids")
}

/// Whether a tensor belongs to a norm, by its name as diffusers and transformers give it.
fn of_norm(name: &str) -> bool {
    let layer = name.rsplit('.').nth(1).unwrap_or_default();
    // `pre_layrnorm` is the published spelling of another.
    layer.contains("norm")
}

/// A tensor that is read and gets its type only when it is put into the network. The first error goes to `failed`,
/// as burn-store's own says less.
fn snapshot(
    weights: &Arc<Inner>,
    name: String,
    dtype: FloatDType,
    failed: &Rc<RefCell<Option<Error>>>,
) -> TensorSnapshot {
    let shape = weights.tensors[&name].info.shape.clone();
    let dtype = match of_norm(&name) {
        true => DType::F32,
        false => dtype.into(),
    };
    let path = name.split('.').map(str::to_owned).collect();
    let (source, failed, data_shape) = (Arc::clone(weights), Rc::clone(failed), shape.clone());
    TensorSnapshot::from_closure(
        Rc::new(move || {
            let values = source.values(&name, &source.tensors[&name]).map_err(|e| {
                let text = e.to_string();
                failed.borrow_mut().get_or_insert(e);
                TensorSnapshotError::DataError(text)
            })?;
            let data = TensorData::new(values, data_shape.clone());
            Ok(data.convert_dtype(dtype))
        }),
        dtype,
        shape.into(),
        path,
        Vec::new(),
        ParamId::new(),
    )
}

impl Inner {
    fn compare(&self, wanted: &BTreeMap<String, Listed>) -> Result<()> {
        let mut missing = Vec::new();
        let mut misshaped = Vec::new();
        for (name, Listed { shape, .. }) in wanted {
            match self.tensors.get(name) {
                None => missing.push(name.clone()),
                Some(found) if found.info.shape != *shape => misshaped.push(format!(
                    "{name} ({:?} in the file, {shape:?} in the network)",
                    found.info.shape
                )),
                Some(_) => {}
            }
        }
        let unused: Vec<String> = self
            .tensors
            .keys()
            .filter(|name| !wanted.contains_key(*name) && !is_derived(name))
            .cloned()
            .collect();
        let mut problems = Vec::new();
        if !missing.is_empty() {
            problems.push(format!("the file lacks {}", some_of(&missing)));
        }
        if !unused.is_empty() {
            problems.push(format!("the network has no place for {}", some_of(&unused)));
        }
        if !misshaped.is_empty() {
            problems.push(format!("other shapes: {}", some_of(&misshaped)));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let remedy = match self
            .tensors
            .keys()
            .any(|name| name.starts_with("model.diffusion_model."))
        {
            true => {
                "this is a checkpoint in its first authors' layout: save it with diffusers, as a directory"
            }
            false => "do config.json and weights belong together?",
        };
        Err(self.error(format!("{}; {remedy}", problems.join("; "))))
    }
}

/// A list for a message: the first few, and how many more.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
