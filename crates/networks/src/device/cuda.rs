//! Whether CUDA can be used here: asked before Burn is, which panics when any part of it is missing.
//!
//! Nothing of CUDA is linked. Its driver (`libcuda`) and the compiler for kernels (`libnvrtc`) are opened when they are
//! first called, and kernels include headers of the CUDA toolkit.

use cudarc::driver::result::{device, init};
use cudarc::driver::{CudaContext, DriverError};
use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::catch_panic;
use std::path::{Path, PathBuf};

/// The name of GPU `index`, if everything that kernels need is there.
///
/// # Errors
/// [`Error::Device`] naming the first part that is missing and how to get it.
pub(super) fn probe(index: usize) -> Result<String> {
    let fail = |what: String| {
        Err(Error::Device(format!(
            "{what}; or use another device, as --device cpu"
        )))
    };
    let name = match catch_panic(move || {
        init()?;
        let count = device::get_count()?.max(0) as usize;
        if index >= count {
            return Ok(Err(count));
        }
        device::get_name(device::get(index as i32)?).map(Ok)
    }) {
        Some(Ok(Ok(name))) => name,
        Some(Ok(Err(count))) => {
            return fail(format!(
                "there is no GPU {index}: CUDA finds {count}, which are counted from 0"
            ));
        }
        Some(Err(reason)) => {
            return fail(format!(
                "the NVIDIA driver finds no GPU that can be used ({reason:?}): check it with nvidia-smi"
            ));
        }
        None => {
            return fail(
                "no NVIDIA driver found (its library libcuda cannot be opened): install it".into(),
            );
        }
    };
    let Some(headers) = headers() else {
        return fail(
            "CUDA's headers are missing: install the CUDA toolkit, or set CUDA_PATH to the folder that has \
             include/cuda_runtime.h in it"
                .into(),
        );
    };
    let options = CompileOptions {
        include_paths: vec![headers.display().to_string()],
        ..Default::default()
    };
    let compiled = catch_panic(move || {
        compile_ptx_with_opts("#include <cuda_runtime.h>\n", options).map(drop)
    });
    match compiled {
        Some(Ok(())) => Ok(name),
        Some(Err(CompileError::CompileError { log, .. })) => {
            let log = log.to_string_lossy();
            let first = log.lines().next().unwrap_or_default();
            fail(format!(
                "CUDA's compiler cannot use the headers in {} ({first}): install the CUDA toolkit of libnvrtc's \
                 version, or set CUDA_PATH to it",
                headers.display()
            ))
        }
        Some(Err(reason)) => fail(format!(
            "CUDA's compiler libnvrtc does not work ({reason:?}): install the CUDA toolkit again"
        )),
        None => fail(
            "CUDA's compiler for kernels is missing (libnvrtc cannot be opened): install the CUDA toolkit, 12 or 13, \
             or put the folder of libnvrtc.so into LD_LIBRARY_PATH"
                .into(),
        ),
    }
}

/// Bytes of GPU `index`'s memory that are free.
pub(super) fn free_memory(index: usize) -> Option<u64> {
    // Burn uses the same, the GPU's primary context.
    let free =
        catch_panic(move || Ok::<_, DriverError>(CudaContext::new(index)?.mem_get_info()?.0))?;
    Some(free.ok()? as u64)
}

/// The folder of CUDA's headers, by the rules of Burn's CUDA runtime, which expects them in the same place.
fn headers() -> Option<PathBuf> {
    let places = match std::env::var_os("CUDA_PATH") {
        Some(path) => vec![PathBuf::from(path)],
        None => ["/usr/local/cuda", "/opt/cuda", "/usr"]
            .iter()
            .map(PathBuf::from)
            .filter(|path| path != Path::new("/usr") || Path::new("/usr/bin/nvcc").exists())
            .chain(
                cfg!(windows).then(|| "C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA".into()),
            )
            .find(|path| path.exists())
            .into_iter()
            .collect(),
    };
    places
        .into_iter()
        .map(|path| path.join("include"))
        .find(|folder| folder.join("cuda_runtime.h").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_is_a_sentence() {
        // On a machine with all of CUDA this is its GPU's name.
        match probe(0) {
            Ok(name) => assert!(!name.is_empty()),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains(": ") && text.contains("--device cpu"),
                    "{text}"
                );
            }
        }
    }
}
