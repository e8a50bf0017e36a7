//! PyTorch's own checkpoints, as PyTorch saved them (tests/goldens/make_torch.py), and damaged ones.

use dragentity_networks::weights::Weights;
use proptest::prelude::*;

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/goldens/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Weights, String> {
    Weights::from_bytes("my.pth", bytes).map_err(|e| e.to_string())
}

#[test]
fn a_checkpoint_is_read_as_safetensors_are() {
    let ramp: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let first: Vec<f32> = ramp.iter().map(|v| v / 8.0 - 1.0).collect();
    let path = format!(
        "{}/../../tests/goldens/torch.pth",
        env!("CARGO_MANIFEST_DIR")
    );
    let from_disk = pollster::block_on(Weights::open(&path, &mut |_, _| {})).unwrap();
    let nested = open(bytes("nested.pth")).unwrap();
    for weights in [open(bytes("torch.pth")).unwrap(), from_disk, nested] {
        let read = |name: &str| weights.read(name).unwrap();
        assert_eq!(read("a.weight"), (first.clone(), vec![2, 3, 4]));
        let half = ramp[..6].iter().map(|v| v - 2.5).collect();
        assert_eq!(read("a.half"), (half, vec![6]));
        let brain = ramp[..4].iter().map(|v| v - 1.5).collect();
        assert_eq!(read("a.brain"), (brain, vec![4]));
        let double = ramp[..3]
            .iter()
            .map(|v| (f64::from(*v) / 3.0) as f32)
            .collect();
        assert_eq!(read("a.double"), (double, vec![3]));
        assert_eq!(read("b.part"), (first[12..].to_vec(), vec![3, 4]));
        assert_eq!(read("b.one"), (vec![7.5], vec![]));
        assert_eq!(read("b.none"), (vec![], vec![0, 5]));
        let error = weights
            .read("b.num_batches_tracked")
            .unwrap_err()
            .to_string();
        assert!(error.contains("I64"), "{error}");
        assert_eq!(weights.tensors().count(), 8);
    }
}

#[test]
fn what_cannot_be_read_is_named_with_a_remedy() {
    for (bytes, words) in [
        (bytes("view.pth"), ["\"turned\"", "save it as safetensors"]),
        (bytes("old.pth"), ["before 2020", "save it again"]),
        (
            bytes("torch.pth")[..2000].to_vec(),
            ["cut short", "fetch it again"],
        ),
        // The end of an empty archive.
        (
            [b"PK\x05\x06".as_slice(), &[0; 18]].concat(),
            ["my.pth", "safetensors"],
        ),
    ] {
        let error = open(bytes).err().unwrap();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
    }
    // Any archive is not a checkpoint.
    let mut other = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    other.start_file("a/letter.txt", stored).unwrap();
    let other = other.finish().unwrap().into_inner();
    let error = open(other).err().unwrap();
    assert!(error.contains("no data.pkl"), "{error}");
}

proptest! {
    #[test]
    fn damaged_checkpoints_are_refused_or_read(damage in prop::collection::vec(any::<(usize, u8)>(), 1..6), cut in any::<usize>()) {
        let mut bytes = bytes("nested.pth");
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if cut % 3 == 0 {
            let length = cut % bytes.len();
            bytes.truncate(length);
        }
        if let Ok(weights) = open(bytes) {
            let names: Vec<String> = weights.tensors().map(|(name, _)| name.to_owned()).collect();
            for name in names {
                // Its numbers may be damaged, too.
                let _ = weights.read(&name);
            }
        }
    }
}
