//! How configurations are checked. Every network's has `validate(name)`, whose errors name the file and the field and say
//! what it may be, and `init(device)`, which does that first: a garbled configuration is a sentence, never a panic or an
//! allocation of terabytes. (The layers that networks are made of, [`crate::nn`], trust their network.)

use dragentity_core::error::{Error, Result};
use std::ops::RangeInclusive;

/// The fields of one configuration.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    name: &'a str,
}

impl<'a> Fields<'a> {
    /// Of the configuration that errors call `name`: its file.
    pub fn of(name: &'a str) -> Self {
        Self { name }
    }

    /// The error with this reason.
    pub fn fail<T>(self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Model {
            name: self.name.to_owned(),
            reason: reason.into(),
        })
    }

    /// Checks that a number is within bounds.
    pub fn within(self, field: &str, value: usize, bounds: RangeInclusive<usize>) -> Result<()> {
        if bounds.contains(&value) {
            return Ok(());
        }
        let (least, most) = bounds.into_inner();
        self.fail(format!("{field} is {value}; it must be {least} to {most}"))
    }

    /// Checks that every number of a list is within bounds.
    pub fn all_within(
        self,
        field: &str,
        values: &[usize],
        bounds: RangeInclusive<usize>,
    ) -> Result<()> {
        let Some(value) = values.iter().find(|value| !bounds.contains(value)) else {
            return Ok(());
        };
        let (least, most) = bounds.into_inner();
        self.fail(format!(
            "{field} contains {value}; each must be {least} to {most}"
        ))
    }

    /// Checks that a number is a multiple of another, which is called `unit` where it is a field itself.
    pub fn multiple(self, field: &str, value: usize, unit: &str, of: usize) -> Result<()> {
        if of > 0 && value.is_multiple_of(of) {
            return Ok(());
        }
        let space = if unit.is_empty() { "" } else { " " };
        self.fail(format!(
            "{field} {value} is not a multiple of {unit}{space}{of}"
        ))
    }

    /// Checks that numbers of channels can be put into the groups of their norms.
    pub fn grouped(self, field: &str, channels: &[usize], groups: usize) -> Result<()> {
        match channels
            .iter()
            .find(|c| groups == 0 || !c.is_multiple_of(groups))
        {
            None => Ok(()),
            Some(c) => self.fail(format!(
                "{field} has {c} channels, which must be multiples of norm_num_groups, {groups}"
            )),
        }
    }

    /// Checks that a number is between others, themselves left out; no number at all is not.
    pub fn between(self, field: &str, value: f64, least: f64, most: f64) -> Result<()> {
        if value > least && value < most {
            return Ok(());
        }
        self.fail(format!(
            "{field} is {value}; it must be between {least} and {most}"
        ))
    }
}
