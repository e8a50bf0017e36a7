//! Python's pickles, as far as PyTorch writes them for weights: read, never run. What would make any other object stands
//! for nothing.

use std::collections::BTreeMap;

/// Values of a pickle at most.
const MOST_VALUES: usize = 1 << 22;

/// A tensor as it is pickled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// Type of the elements, as `FloatStorage`.
    pub kind: String,
    /// Name of the file that holds them.
    pub storage: String,
    /// Elements before the first.
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}

/// A value; those that hold others know them by their number.
#[derive(Clone, Debug)]
enum Value {
    /// Whatever weights do not need.
    Other,
    Mark,
    Int(i64),
    Text(String),
    /// Module and name.
    Global(String),
    List(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    Storage {
        kind: String,
        key: String,
    },
    Tensor(Tensor),
}

/// Dictionaries in which published checkpoints keep their weights, beside other things.
const WHOLES: [&str; 4] = ["state_dict", "model_state_dict", "model", "params"];

/// Reads the tensors of a pickled dictionary, or of the one of [`WHOLES`] in it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        memo: BTreeMap::new(),
    };
    let top = machine.run()?;
    let own = machine.collect(top)?;
    if !own.is_empty() {
        return Ok(own);
    }
    let mut within = WHOLES.iter().filter_map(|name| machine.within(top, name));
    within.next().map_or(Ok(own), |dict| machine.collect(dict))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<usize>,
    memo: BTreeMap<u32, usize>,
}

impl Machine<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("it ends too early")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned number of so many bytes.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    fn text(&mut self, length: u64) -> Result<String, String> {
        let length = usize::try_from(length).map_err(|_| "a text is too long")?;
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| "a text is no text".into())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or("it ends too early")?;
        let text = self.text(end as u64)?;
        self.at += 1;
        Ok(text)
    }

    fn new_value(&mut self, value: Value) -> Result<usize, String> {
        if self.values.len() >= MOST_VALUES {
            return Err("it has too many values".into());
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        let value = self.new_value(value)?;
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<usize, String> {
        self.stack.pop().ok_or_else(|| "its stack is empty".into())
    }

    fn top(&self) -> Result<usize, String> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| "its stack is empty".into())
    }

    /// What lies above the last mark, which goes, too.
    fn above_mark(&mut self) -> Result<Vec<usize>, String> {
        let is_mark = |&value: &usize| matches!(self.values[value], Value::Mark);
        let mark = self
            .stack
            .iter()
            .rposition(is_mark)
            .ok_or("a mark is missing")?;
        let above = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(above)
    }

    fn remember(&mut self, place: u64) -> Result<(), String> {
        let value = self.top()?;
        let place = u32::try_from(place).map_err(|_| "a place is too far")?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Result<(), String> {
        let value = u32::try_from(place)
            .ok()
            .and_then(|place| self.memo.get(&place));
        self.stack
            .push(*value.ok_or("it refers to what is not there")?);
        Ok(())
    }

    /// Puts keys and values by turns into the dictionary at the top.
    fn set_items(&mut self, items: &[usize]) -> Result<(), String> {
        let top = self.top()?;
        if let Value::Dict(entries) = &mut self.values[top] {
            entries.extend(
                items
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|&[key, value]| (key, value)),
            );
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<usize>) -> Result<(), String> {
        let top = self.top()?;
        if let Value::List(list) = &mut self.values[top] {
            list.extend(items);
        }
        Ok(())
    }

    fn last(&mut self, count: usize) -> Result<Vec<usize>, String> {
        let from = self
            .stack
            .len()
            .checked_sub(count)
            .ok_or("its stack is empty")?;
        Ok(self.stack.split_off(from))
    }

    fn run(&mut self) -> Result<usize, String> {
        loop {
            match self.number(1)? as u8 {
                b'.' => return self.pop(),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.push(Value::Mark)?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b']' | b')' => self.push(Value::List(Vec::new()))?,
                b'N' | 0x88 | 0x89 => self.push(Value::Other)?,
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => {
                    let value = self.number(4)? as u32 as i32;
                    self.push(Value::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.number(1)? as usize;
                    if length > 8 {
                        return Err("a number is too large".into());
                    }
                    let value = self.number(length)?;
                    let above = 64 - 8 * length as u32;
                    // Of two's complement, in as many bytes as it takes.
                    let value = value.checked_shl(above).unwrap_or(0) as i64;
                    self.push(Value::Int(value.checked_shr(above).unwrap_or(0)))?;
                }
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Other)?;
                }
                b'X' => self.string(4)?,
                0x8c => self.string(1)?,
                0x8d => self.string(8)?,
                b'U' | b'C' => self.skip(1)?,
                b'T' | b'B' => self.skip(4)?,
                0x8e => self.skip(8)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(format!("{module}.{name}")))?;
                }
                0x93 => {
                    let parts = self.last(2)?;
                    let name = match (&self.values[parts[0]], &self.values[parts[1]]) {
                        (Value::Text(module), Value::Text(name)) => format!("{module}.{name}"),
                        _ => return Err("a name is no text".into()),
                    };
                    self.push(Value::Global(name))?;
                }
                b't' | b'l' => {
                    let items = self.above_mark()?;
                    self.push(Value::List(items))?;
                }
                b'd' => {
                    let items = self.above_mark()?;
                    self.push(Value::Dict(Vec::new()))?;
                    self.set_items(&items)?;
                }
                count @ 0x85..=0x87 => {
                    let items = self.last(usize::from(count - 0x84))?;
                    self.push(Value::List(items))?;
                }
                b'q' => {
                    let place = self.number(1)?;
                    self.remember(place)?;
                }
                b'r' => {
                    let place = self.number(4)?;
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,
                b'h' => {
                    let place = self.number(1)?;
                    self.recall(place)?;
                }
                b'j' => {
                    let place = self.number(4)?;
                    self.recall(place)?;
                }
                b's' => {
                    let items = self.last(2)?;
                    self.set_items(&items)?;
                }
                b'u' => {
                    let items = self.above_mark()?;
                    self.set_items(&items)?;
                }
                b'a' => {
                    let items = self.last(1)?;
                    self.append(items)?;
                }
                b'e' => {
                    let items = self.above_mark()?;
                    self.append(items)?;
                }
                b'0' => drop(self.pop()?),
                // The state of an object, as the versions of an ordered dictionary's modules.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(id);
                    self.push(storage)?;
                }
                b'R' => {
                    let parts = self.last(2)?;
                    let made = self.made(parts[0], parts[1]);
                    self.push(made)?;
                }
                0x81 => {
                    self.last(2)?;
                    self.push(Value::Other)?;
                }
                other => return Err(format!("it does what weights do not need (0x{other:02x})")),
            }
        }
    }

    fn int(&mut self, count: usize) -> Result<(), String> {
        let value = self.number(count)?;
        self.push(Value::Int(value as i64))
    }

    fn string(&mut self, count: usize) -> Result<(), String> {
        let length = self.number(count)?;
        let text = self.text(length)?;
        self.push(Value::Text(text))
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        let length = self.number(count)?;
        self.take(usize::try_from(length).map_err(|_| "a text is too long")?)?;
        self.push(Value::Other)
    }

    fn items(&self, list: usize) -> &[usize] {
        match &self.values[list] {
            Value::List(items) => items,
            _ => &[],
        }
    }

    fn sizes(&self, list: usize) -> Option<Vec<u64>> {
        let size = |&item: &usize| match self.values[item] {
            Value::Int(n) => u64::try_from(n).ok(),
            _ => None,
        };
        self.items(list).iter().map(size).collect()
    }

    /// `("storage", type, key, device, elements)`
    fn storage(&self, id: usize) -> Value {
        let [_, kind, key, ..] = self.items(id) else {
            return Value::Other;
        };
        match (&self.values[*kind], &self.values[*key]) {
            (Value::Global(kind), Value::Text(key)) => Value::Storage {
                kind: kind.strip_prefix("torch.").unwrap_or(kind).to_owned(),
                key: key.clone(),
            },
            _ => Value::Other,
        }
    }

    /// What a function would make of its arguments.
    fn made(&self, function: usize, arguments: usize) -> Value {
        let Value::Global(function) = &self.values[function] else {
            return Value::Other;
        };
        let arguments = self.items(arguments);
        match (function.as_str(), arguments) {
            ("collections.OrderedDict", _) => Value::Dict(Vec::new()),
            ("torch._utils._rebuild_parameter", [tensor, ..]) => self.values[*tensor].clone(),
            ("torch._utils._rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                let tensor = || {
                    let Value::Storage { kind, key } = &self.values[*storage] else {
                        return None;
                    };
                    let Value::Int(offset) = self.values[*offset] else {
                        return None;
                    };
                    Some(Value::Tensor(Tensor {
                        kind: kind.clone(),
                        storage: key.clone(),
                        offset: u64::try_from(offset).ok()?,
                        shape: self.sizes(*shape)?,
                        strides: self.sizes(*strides)?,
                    }))
                };
                tensor().unwrap_or(Value::Other)
            }
            _ => Value::Other,
        }
    }

    /// The tensors that are in a dictionary themselves.
    fn collect(&self, dict: usize) -> Result<BTreeMap<String, Tensor>, String> {
        let mut found = BTreeMap::new();
        for (key, value) in self.entries(dict) {
            if let (Value::Text(key), Value::Tensor(tensor)) = (key, value)
                && found.insert(key.clone(), tensor.clone()).is_some()
            {
                return Err(format!("{key:?} is there twice"));
            }
        }
        Ok(found)
    }

    fn entries(&self, dict: usize) -> impl Iterator<Item = (&Value, &Value)> {
        let entries = match &self.values[dict] {
            Value::Dict(entries) => entries.as_slice(),
            _ => &[],
        };
        entries
            .iter()
            .map(|&(key, value)| (&self.values[key], &self.values[value]))
    }

    /// The dictionary of that name within another.
    fn within(&self, dict: usize, name: &str) -> Option<usize> {
        let Value::Dict(entries) = &self.values[dict] else {
            return None;
        };
        let named = |key: usize| matches!(&self.values[key], Value::Text(key) if key == name);
        entries
            .iter()
            .find(|&&(key, _)| named(key))
            .map(|&(_, value)| value)
    }
}
