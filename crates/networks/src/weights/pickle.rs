//! Python's pickles, as far as PyTorch writes them for weights: read, never run. What would make any other object stands
//! for nothing.
//!
//! A pickle may use what it has made as often as it likes, at two bytes a time. So nothing is copied here: texts stay where they
//! are in the file, and values know each other by their numbers.

use super::header::MAX_RANK;
use std::collections::BTreeMap;

/// Values of a pickle at most.
const MOST_VALUES: usize = 1 << 20;

/// A tensor as it is pickled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor<'a> {
    /// Type of the elements, as `FloatStorage`.
    pub kind: &'a str,
    /// Name of the file that holds them.
    pub storage: &'a str,
    /// Elements before the first.
    pub offset: u64,
    /// At most [`MAX_RANK`] numbers.
    pub shape: Vec<u64>,
    /// As many as `shape`.
    pub strides: Vec<u64>,
}

/// A value; those that hold others know them by their number.
#[derive(Debug)]
enum Value<'a> {
    /// Whatever weights do not need.
    Other,
    Mark,
    Int(i64),
    Text(&'a str),
    /// Module and name.
    Global(&'a str, &'a str),
    List(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    Storage {
        kind: &'a str,
        key: &'a str,
    },
    Tensor(Box<Tensor<'a>>),
}

/// Dictionaries in which published checkpoints keep their weights, beside other things.
const WHOLES: [&str; 4] = ["state_dict", "model_state_dict", "model", "params"];

/// Reads the tensors of a pickled dictionary, or of the one of [`WHOLES`] in it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<&str, Tensor<'_>>, String> {
    let mut machine = Machine::new(bytes);
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
    values: Vec<Value<'a>>,
    stack: Vec<usize>,
    memo: BTreeMap<u32, usize>,
}

impl<'a> Machine<'a> {
    /// At the beginning of a pickle.
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            memo: BTreeMap::new(),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("it ends too early")?;
        let bytes: &'a [u8] = self.bytes;
        let taken = &bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned number of so many bytes.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    fn text(&mut self, length: u64) -> Result<&'a str, String> {
        let length = usize::try_from(length).map_err(|_| "a text is too long")?;
        str::from_utf8(self.take(length)?).map_err(|_| "a text is no text".into())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or("it ends too early")?;
        let text = self.text(end as u64)?;
        self.at += 1;
        Ok(text)
    }

    fn new_value(&mut self, value: Value<'a>) -> Result<usize, String> {
        if self.values.len() >= MOST_VALUES {
            return Err("it has too many values".into());
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
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
                    self.push(Value::Global(module, name))?;
                }
                0x93 => {
                    let parts = self.last(2)?;
                    let global = match (&self.values[parts[0]], &self.values[parts[1]]) {
                        (Value::Text(module), Value::Text(name)) => Value::Global(module, name),
                        _ => return Err("a name is no text".into()),
                    };
                    self.push(global)?;
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
                    self.make(parts[0], parts[1])?;
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

    /// The numbers of a list, if they are those of a shape.
    fn sizes(&self, list: usize) -> Option<Vec<u64>> {
        let items = self.items(list);
        if items.len() > MAX_RANK {
            return None;
        }
        let size = |&item: &usize| match self.values[item] {
            Value::Int(n) => u64::try_from(n).ok(),
            _ => None,
        };
        items.iter().map(size).collect()
    }

    /// `("storage", type, key, device, elements)`
    fn storage(&self, id: usize) -> Value<'a> {
        let [_, kind, key, ..] = self.items(id) else {
            return Value::Other;
        };
        match (&self.values[*kind], &self.values[*key]) {
            // Of another module's it is refused by that name.
            (Value::Global(module, kind), Value::Text(key)) => Value::Storage {
                kind: if *module == "torch" { kind } else { module },
                key,
            },
            _ => Value::Other,
        }
    }

    /// Pushes what a function would make of its arguments.
    fn make(&mut self, function: usize, arguments: usize) -> Result<(), String> {
        let Value::Global(module, function) = self.values[function] else {
            return self.push(Value::Other);
        };
        match (module, function, self.items(arguments)) {
            ("collections", "OrderedDict", _) => self.push(Value::Dict(Vec::new())),
            // What it is given, which needs no second value.
            ("torch._utils", "_rebuild_parameter", &[tensor, ..]) => {
                self.stack.push(tensor);
                Ok(())
            }
            ("torch._utils", "_rebuild_tensor_v2", &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides);
                self.push(tensor.unwrap_or(Value::Other))
            }
            _ => self.push(Value::Other),
        }
    }

    fn tensor(
        &self,
        storage: usize,
        offset: usize,
        shape: usize,
        strides: usize,
    ) -> Option<Value<'a>> {
        let (&Value::Storage { kind, key }, &Value::Int(offset)) =
            (&self.values[storage], &self.values[offset])
        else {
            return None;
        };
        Some(Value::Tensor(Box::new(Tensor {
            kind,
            storage: key,
            offset: u64::try_from(offset).ok()?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        })))
    }

    /// The tensors that are in a dictionary themselves.
    fn collect(&self, dict: usize) -> Result<BTreeMap<&'a str, Tensor<'a>>, String> {
        let mut found = BTreeMap::new();
        for (key, value) in self.entries(dict) {
            if let (Value::Text(key), Value::Tensor(tensor)) = (key, value)
                && found.insert(*key, Tensor::clone(tensor)).is_some()
            {
                return Err(format!("{key:?} is there twice"));
            }
        }
        Ok(found)
    }

    fn entries(&self, dict: usize) -> impl Iterator<Item = (&Value<'a>, &Value<'a>)> {
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
        let named = |key: usize| matches!(self.values[key], Value::Text(key) if key == name);
        entries
            .iter()
            .find(|&&(key, _)| named(key))
            .map(|&(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A pickle of a dictionary `{"weight": tensor}`, as `torch.save` writes it, but that `more` is done first.
    fn pickle(more: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x80\x02".to_vec();
        bytes.extend_from_slice(more);
        bytes.extend_from_slice(b"}(X\x06\0\0\0weightctorch._utils\n_rebuild_tensor_v2\n((");
        bytes.extend_from_slice(b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0");
        bytes
            .extend_from_slice(b"0X\x03\0\0\0cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89NtRu.");
        bytes
    }

    /// How many bytes the values of a pickle take, beside the file's own.
    fn held(bytes: &[u8]) -> usize {
        let mut machine = Machine::new(bytes);
        let _ = machine.run();
        let of = |value: &Value<'_>| match value {
            Value::List(list) => 8 * list.capacity(),
            Value::Dict(entries) => 16 * entries.capacity(),
            Value::Tensor(tensor) => {
                let numbers = tensor.shape.capacity() + tensor.strides.capacity();
                size_of::<Tensor<'_>>() + 8 * numbers
            }
            _ => 0,
        };
        let own = machine.values.capacity() * size_of::<Value<'_>>();
        own + machine.values.iter().map(of).sum::<usize>() + 8 * machine.stack.capacity()
    }

    #[test]
    fn a_tensor_is_found() {
        let bytes = pickle(b"");
        let found = tensors(&bytes).unwrap();
        let tensor = &found["weight"];
        assert_eq!((tensor.kind, tensor.storage), ("FloatStorage", "0"));
        assert_eq!(
            (&tensor.shape[..], &tensor.strides[..]),
            (&[2, 3][..], &[3, 1][..])
        );
    }

    #[test]
    fn what_is_used_again_is_not_copied() {
        const TIMES: usize = 20_000;
        let text = [
            &b"X"[..],
            &100_000u32.to_le_bytes(),
            &[b'a'; 100_000],
            b"q\x00",
        ]
        .concat();
        let list = [&b"("[..], &b"K\x01".repeat(50_000), b"tq\x00"].concat();
        let parameter = b"ctorch._utils\n_rebuild_parameter\nq\x01h\x00\x85q\x02";
        for (what, once, again) in [
            ("a name of two texts", &text, &b"h\x00h\x00\x93"[..]),
            (
                "a parameter of a list",
                &[&list[..], parameter].concat(),
                b"h\x01h\x02R",
            ),
            ("a list of a list", &list, b"h\x00\x85"),
        ] {
            let bytes = pickle(&[&once[..], &again.repeat(TIMES)].concat());
            assert!(tensors(&bytes).is_ok(), "{what}");
            let held = held(&bytes);
            assert!(held < 64 * bytes.len(), "{what}: {held} of {}", bytes.len());
        }
    }

    #[test]
    fn shapes_of_many_dimensions_are_none() {
        let many = [&b"("[..], &b"K\x01".repeat(MAX_RANK + 1), b"t"].concat();
        let whole = pickle(b"");
        let at = whole
            .windows(5)
            .position(|w| w == b"K\x02K\x03\x86")
            .unwrap();
        let bytes = [&whole[..at], &many, &whole[at + 5..]].concat();
        assert!(tensors(&bytes).unwrap().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn damaged_pickles_are_read_or_refused(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = pickle(b"}q\x00]q\x01h\x00h\x01\x86");
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = tensors(&bytes);
            let _ = tensors(&bytes[..cut.index(bytes.len())]);
        }

        #[test]
        fn any_operations_take_memory_by_the_file(
            operations in prop::collection::vec(
                prop::sample::select(&b"(}])NK\x01tl0abdsu\x85\x86\x87h\x00q\x94R\x81\x93Q"[..]),
                0..3000,
            ),
        ) {
            prop_assert!(held(&operations) < 1000 + 500 * operations.len());
        }
    }
}
