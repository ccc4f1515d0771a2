//! Tensors from `.safetensors` and `.npy` files: a model's parameters by name, or data that is no table, such as images; and `.npy`
//! files of results.
//!
//! The files are not trusted: what they say about sizes is compared with what is there before anything is allocated.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use safetensors::{Dtype, SafeTensors};
use zeroize::Zeroizing;

use super::{DataError, clip};
use crate::regular_file::read_regular;

/// Largest file.
const MAX_BYTES: usize = 2 << 30;

/// A tensor of a file. Wiped on drop.
pub struct TensorFile {
    file: PathBuf,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Zeroizing<Vec<f64>>,
}

mpc_core::secret_types!(serde::Serialize; TensorFile);

impl TensorFile {
    /// Reads the tensor called `name` of a `.safetensors` file, or the only one of a `.npy` file.
    ///
    /// # Errors
    /// [`DataError`] naming the file, and the tensors that there are.
    pub fn load(file: &Path, name: &str) -> Result<Self, DataError> {
        let bytes = read(file)?;
        let (shape, values) = if is_npy(file) { npy(&bytes) } else { safetensor(&bytes, name) }
            .map_err(|what| wrong(file, what))?;
        if let Some(position) = values.iter().position(|v| !v.is_finite()) {
            return Err(wrong(
                file,
                format!("element {position} of `{}` is {}", clip(name), values[position]),
            ));
        }
        Ok(Self { file: file.into(), shape, values })
    }

    /// Checks that every value fits what the program promises about this input.
    ///
    /// # Errors
    /// [`DataError`] naming the file, the element, the value and the limit.
    pub fn check_range(&self, name: &str, max_abs: f64) -> Result<(), DataError> {
        let Some(position) = self.values.iter().position(|v| v.abs() > max_abs) else { return Ok(()) };
        let mut rest = position;
        let mut index: Box<[usize]> = self.shape.iter().rev().map(|&d| (rest % d, rest /= d).0).collect();
        index.reverse();
        let (file, name, seen) = (self.file.clone(), clip(name), self.values[position]);
        Err(DataError::TensorRange { file, name, index, seen, max_abs })
    }
}

/// Whether a file's name says that it holds tensors.
#[must_use]
pub fn holds_tensors(file: &Path) -> bool {
    is_npy(file) || file.extension().is_some_and(|e| e == "safetensors")
}

/// Names of all tensors of a file; none where it holds one without a name.
///
/// # Errors
/// [`DataError`] naming the file.
pub fn tensor_names(file: &Path) -> Result<Vec<String>, DataError> {
    if is_npy(file) {
        return Ok(vec![]);
    }
    let bytes = read(file)?;
    let all = SafeTensors::deserialize(&bytes).map_err(|e| wrong(file, e.to_string()))?;
    let mut names: Vec<String> = all.names().into_iter().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Whether a file's name says that it holds one tensor as NumPy writes it.
#[must_use]
pub fn is_npy(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "npy")
}

/// Writes a tensor as NumPy does, in version 1 of its format; its shape has few axes.
///
/// # Errors
/// What writing fails with.
pub fn write_npy(out: &mut dyn Write, values: &ArrayD<f64>) -> std::io::Result<()> {
    const PREFIX_BYTES: usize = 10;
    let axes: String = values.shape().iter().map(|d| format!("{d}, ")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({axes}), }}");
    // Data begins at a multiple of 64 bytes, after the end of a line.
    let padded = (PREFIX_BYTES + header.len() + 1).next_multiple_of(64) - PREFIX_BYTES;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    let len = u16::try_from(header.len()).map_err(|_| std::io::Error::other("too many axes"))?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes()))
}

fn wrong(file: &Path, what: String) -> DataError {
    DataError::Tensor { file: file.into(), what }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, DataError> {
    let bytes =
        read_regular(file, MAX_BYTES).map_err(|error| DataError::Unreadable { file: file.into(), error })?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() > MAX_BYTES {
        return Err(wrong(file, format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

type Read = (Vec<usize>, Zeroizing<Vec<f64>>);

fn safetensor(bytes: &[u8], name: &str) -> Result<Read, String> {
    let all = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let tensor = all.tensor(name).map_err(|_| {
        let mut known: Vec<String> = all.names().into_iter().map(clip).collect();
        known.sort();
        let more = known.len().saturating_sub(20);
        known.truncate(20);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("no tensor `{}`; the file has {}{more}", clip(name), known.join(", "))
    })?;
    let kind = match tensor.dtype() {
        Dtype::F64 => "f8",
        Dtype::F32 => "f4",
        Dtype::I64 => "i8",
        Dtype::I32 => "i4",
        Dtype::I16 => "i2",
        Dtype::I8 => "i1",
        Dtype::U8 => "u1",
        Dtype::BOOL => "b1",
        other => return Err(format!("`{}` has elements of type {other:?}, which is not read", clip(name))),
    };
    Ok((tensor.shape().to_vec(), numbers(kind, tensor.data(), tensor.shape())?))
}

/// The tensor of a NumPy file, in its versions 1 to 3.
fn npy(bytes: &[u8]) -> Result<Read, String> {
    let cut = || "it ends in the middle of its header".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("it is not a NumPy file")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (len, rest) = if major == 1 {
        let (len, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        (usize::from(u16::from_le_bytes(*len)), rest)
    } else {
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        (u32::from_le_bytes(*len) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(len).ok_or_else(cut)?;
    let header = String::from_utf8_lossy(header);
    let field = |name: &str| -> Result<&str, String> {
        let at = header.find(&format!("'{name}':")).ok_or_else(|| format!("its header has no {name}"))?;
        Ok(header[at + name.len() + 3..].trim_start())
    };
    if !field("fortran_order")?.starts_with("False") {
        return Err("its elements are in Fortran order; save it with numpy.ascontiguousarray".into());
    }
    let kind = field("descr")?.trim_start_matches('\'');
    let kind = kind.split('\'').next().unwrap_or_default();
    let kind = kind
        .strip_prefix(['<', '|', '='])
        .ok_or_else(|| format!("elements of type {} are not read", clip(kind)))?;
    let shape =
        field("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).ok_or("its header has no shape")?.0;
    let shape = shape.split(',').map(str::trim).filter(|d| !d.is_empty()).map(str::parse);
    let shape: Vec<usize> =
        shape.collect::<Result<_, _>>().map_err(|_| "its shape has no lengths".to_owned())?;
    Ok((shape.clone(), numbers(kind, data, &shape)?))
}

/// Little-endian elements of a type as NumPy names it.
fn numbers(kind: &str, data: &[u8], shape: &[usize]) -> Result<Zeroizing<Vec<f64>>, String> {
    fn each<const N: usize>(
        data: &[u8],
        n: usize,
        f: impl Fn([u8; N]) -> f64,
    ) -> Result<Zeroizing<Vec<f64>>, String> {
        if n.checked_mul(N) != Some(data.len()) {
            return Err(format!("its shape has {n} elements, its data {}", data.len() / N));
        }
        let mut values = Zeroizing::new(Vec::with_capacity(n));
        values.extend(data.as_chunks::<N>().0.iter().map(|&c| f(c)));
        Ok(values)
    }
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or("its shape is too large")?;
    match kind {
        "f8" => each(data, n, f64::from_le_bytes),
        "f4" => each(data, n, |b| f64::from(f32::from_le_bytes(b))),
        "i8" => each(data, n, |b| i64::from_le_bytes(b) as f64),
        "i4" => each(data, n, |b| f64::from(i32::from_le_bytes(b))),
        "i2" => each(data, n, |b| f64::from(i16::from_le_bytes(b))),
        "i1" => each(data, n, |b| f64::from(i8::from_le_bytes(b))),
        "u1" => each(data, n, |[b]: [u8; 1]| f64::from(b)),
        "b1" => each(data, n, |[b]: [u8; 1]| f64::from(u8::from(b != 0))),
        other => Err(format!("elements of type {} are not read", clip(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        (dir, file)
    }

    fn numpy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn numpy_files_are_read() {
        let data: Vec<u8> = [1.5f32, -2.0, 0.25, 8.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let (_dir, file) = saved("x.npy", &numpy("<f4", "(2, 2)", &data));
        let tensor = TensorFile::load(&file, "x").unwrap();
        assert_eq!((&tensor.shape[..], &tensor.values[..]), (&[2, 2][..], &[1.5, -2.0, 0.25, 8.0][..]));
        let error = tensor.check_range("x", 4.0).unwrap_err().to_string();
        assert!(error.contains("element [1, 1] of `x` is 8"), "{error}");
        for (descr, shape, data, expected) in [
            ("<f4", "(3,)", &data[..], "its shape has 3 elements, its data 4"),
            ("<c8", "(2,)", &data, "c8"),
            (">f4", "(4,)", &data, ">f4"),
            ("<f4", "(99999999999, 99999999999)", &data, "too large"),
            ("<f4", "(4,)", &f32::NAN.to_le_bytes().repeat(4), "element 0 of `x` is NaN"),
        ] {
            let (_dir, file) = saved("x.npy", &numpy(descr, shape, data));
            let Err(error) = TensorFile::load(&file, "x") else { panic!("{descr} {shape} must be refused") };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_written_for_numpy_is_read_back() {
        for shape in [&[][..], &[1], &[3], &[2, 3], &[2, 1, 3, 2]] {
            let mut next = -0.5;
            let values = ArrayD::from_shape_simple_fn(shape, || {
                next += 1.0 / 3.0;
                next
            });
            let mut bytes = vec![];
            write_npy(&mut bytes, &values).unwrap();
            assert_eq!((bytes.len() - 8 * values.len()) % 64, 0);
            let (_dir, file) = saved("x.npy", &bytes);
            let read = TensorFile::load(&file, "x").unwrap();
            assert_eq!(read.shape, shape);
            assert!(read.values.iter().eq(values.iter()));
        }
    }

    #[test]
    fn what_is_no_tensor_file_is_refused() {
        for bytes in
            [&b""[..], b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff{", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"]
        {
            for name in ["x.npy", "x.safetensors"] {
                let (_dir, file) = saved(name, bytes);
                assert!(TensorFile::load(&file, "x").is_err());
            }
        }
    }
}
