//! diffusers in a process of its own, which does one thing at a time when asked.

use super::{Options, Sample};
use burn::tensor::FloatDType;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_networks::weights::WeightType;
use dragentity_pipeline::engine::DECODE_CHUNK;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What it runs.
const SCRIPT: &str = include_str!("diffusers_reference.py");

/// What to compare with.
#[derive(Clone, Debug)]
pub struct ReferenceOptions {
    /// A Python that has torch, diffusers and transformers.
    pub python: String,
    /// PyTorch's name of the device: `cpu`, `cuda`, `cuda:1`, `mps`.
    pub device: String,
    /// Threads, on the CPU.
    pub threads: usize,
}

/// The running process.
pub struct Reference {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it said first.
    pub hello: Hello,
}

/// What the reference says when it is ready.
#[derive(Deserialize)]
pub struct Hello {
    /// Version and device, in words.
    pub name: String,
    /// Seconds until all networks were loaded and had run once.
    pub load_seconds: f64,
    /// Floating point operations of one step of the UNet; a multiplication and an addition are two.
    pub flops: f64,
}

impl Reference {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Job`] when it does not run; what it has to say is on standard error.
    pub fn start(with: &ReferenceOptions, options: &Options, model: &str) -> Result<Self> {
        let job = serde_json::json!({
            "model": model, "device": with.device, "threads": with.threads,
            "dtype": torch_name(options.dtype),
            "width": options.size[0], "height": options.size[1], "frames": options.frames, "steps": options.steps,
            "decode_at_once": DECODE_CHUNK,
        });
        let failed = |why: std::io::Error| {
            Error::Job(format!(
                "{} cannot be started ({why}); name a Python with torch and diffusers, or leave --reference out",
                with.python
            ))
        };
        let mut child = Command::new(&with.python)
            .args(["-c", SCRIPT, &job.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let mut output = BufReader::new(output);
        match read_answer(&mut output) {
            Ok(hello) => Ok(Self {
                child,
                input,
                output,
                hello,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Has `command` done once.
    ///
    /// # Errors
    /// [`Error::Job`] when the process has gone.
    pub fn run(&mut self, command: &str) -> Result<Sample> {
        // If it has gone, there is no answer either.
        let _ = writeln!(self.input, "{command}");
        read_answer(&mut self.output)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line that is an answer: libraries print what they like.
fn read_answer<T: DeserializeOwned>(output: &mut impl BufRead) -> Result<T> {
    for line in output.lines().map_while(std::io::Result::ok) {
        if let Ok(answer) = serde_json::from_str(&line) {
            return Ok(answer);
        }
    }
    Err(Error::Job(
        "the reference ended early; what it said is above. It needs torch, diffusers, transformers and accelerate".into(),
    ))
}

/// What the reference computes in; it has nothing like 8 bits.
fn torch_name(dtype: WeightType) -> &'static str {
    match dtype {
        WeightType::Float(FloatDType::F16) => "float16",
        WeightType::Float(FloatDType::BF16) => "bfloat16",
        _ => "float32",
    }
}
