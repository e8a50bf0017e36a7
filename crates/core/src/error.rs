//! The one error type: every message names the input and says what to do about it.

/// What went wrong, in words for the person who caused it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A picture that cannot be used.
    #[error("{name}: {reason}")]
    Picture {
        /// File name or origin of the picture.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A preset, link or demo folder that cannot be used.
    #[error("preset: {0}")]
    Preset(String),
    /// A job that cannot be run as it stands (no entity, no frames, sizes out of range).
    #[error("{0}")]
    Job(String),
    /// Weights or a configuration that cannot be loaded.
    #[error("model {name}: {reason}")]
    Model {
        /// Directory, file or URL.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The device cannot run the job (no adapter, lost device, out of memory).
    #[error("device: {0}")]
    Device(String),
    /// The user cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Reading or writing a file.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: String,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
