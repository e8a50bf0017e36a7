//! The paper's own: entity features, relations, how trajectories are shown to a ControlNet, and what one denoising step runs;
//! beside them what DragAnything's ControlNet is shown.

pub mod bundle;
pub mod condition;
pub mod denoiser;
pub mod draganything;
pub mod entity_encoder;
pub mod human_parser;
pub mod plate_structure;
pub mod preview;
pub mod pyramid;
pub mod relation;
