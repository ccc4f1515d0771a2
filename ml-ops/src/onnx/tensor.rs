//! Tensors of a model's file as numbers or texts. Sizes are compared with what is there before anything is allocated.

use super::constant::{Kind, Known, MAX_AXES, Numbers, Texts, elements, shaped};
use super::proto::TensorProto;
use super::proto::tensor_proto::DataType;

/// Decodes a tensor, whose elements come out of the budget.
pub(super) fn known(t: &TensorProto, left: &mut usize) -> Result<Known, String> {
    let shape = t
        .dims
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| format!("an axis has the length {d}")))
        .collect::<Result<Vec<_>, _>>()?;
    if shape.len() > MAX_AXES {
        return Err(format!("it has {} axes", shape.len()));
    }
    let n = elements(&shape, *left).ok_or_else(|| {
        format!("shape {shape:?} is more than the {} elements that all constants may still have", *left)
    })?;
    let kind = DataType::try_from(t.data_type.unwrap_or(0)).map_err(|_| "its type is unknown".to_owned())?;
    if kind == DataType::String {
        if t.string_data.len() != n {
            return Err(counts(n, t.string_data.len()));
        }
        *left -= n;
        let texts = t.string_data.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        return Ok(Known::Texts(Texts { shape, texts }));
    }
    let values = match &t.raw_data {
        Some(raw) if !raw.is_empty() || n == 0 => raw_numbers(kind, raw, n)?,
        _ => typed_numbers(kind, t, n)?,
    };
    *left -= n;
    let of = match kind {
        DataType::Bool => Kind::Bit,
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16 => Kind::Real,
        _ => Kind::Integer,
    };
    Ok(Known::Numbers(Numbers { kind: of, values: shaped(&shape, values), name: t.name.clone() }))
}

fn counts(expected: usize, got: usize) -> String {
    format!("its shape has {expected} elements, its data {got}")
}

fn unsupported(kind: DataType) -> String {
    format!("elements of type {} are not read", kind.as_str_name())
}

/// Little-endian elements.
fn raw_numbers(kind: DataType, raw: &[u8], n: usize) -> Result<Vec<f64>, String> {
    fn each<const N: usize>(raw: &[u8], n: usize, f: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, String> {
        if raw.len() != n * N {
            return Err(counts(n, raw.len() / N));
        }
        Ok(raw.as_chunks::<N>().0.iter().map(|&c| f(c)).collect())
    }
    match kind {
        DataType::Float => each(raw, n, |b| f64::from(f32::from_le_bytes(b))),
        DataType::Double => each(raw, n, f64::from_le_bytes),
        DataType::Float16 => each(raw, n, |b| half(u16::from_le_bytes(b))),
        DataType::Bfloat16 => each(raw, n, |b| brain(u16::from_le_bytes(b))),
        DataType::Int64 => each(raw, n, |b| i64::from_le_bytes(b) as f64),
        DataType::Uint64 => each(raw, n, |b| u64::from_le_bytes(b) as f64),
        DataType::Int32 => each(raw, n, |b| i32::from_le_bytes(b).into()),
        DataType::Uint32 => each(raw, n, |b| u32::from_le_bytes(b).into()),
        DataType::Int16 => each(raw, n, |b| i16::from_le_bytes(b).into()),
        DataType::Uint16 => each(raw, n, |b| u16::from_le_bytes(b).into()),
        DataType::Int8 => each(raw, n, |b| i8::from_le_bytes(b).into()),
        DataType::Uint8 => each(raw, n, |[b]: [u8; 1]| b.into()),
        DataType::Bool => each(raw, n, |[b]: [u8; 1]| f64::from(u8::from(b != 0))),
        _ => Err(unsupported(kind)),
    }
}

/// Elements in the field of their type.
fn typed_numbers(kind: DataType, t: &TensorProto, n: usize) -> Result<Vec<f64>, String> {
    let of = |data: Vec<f64>| if data.len() == n { Ok(data) } else { Err(counts(n, data.len())) };
    let small = |f: &dyn Fn(i32) -> f64| of(t.int32_data.iter().map(|&v| f(v)).collect());
    match kind {
        DataType::Float => of(t.float_data.iter().map(|&v| v.into()).collect()),
        DataType::Double => of(t.double_data.clone()),
        DataType::Int64 => of(t.int64_data.iter().map(|&v| v as f64).collect()),
        DataType::Uint32 | DataType::Uint64 => of(t.uint64_data.iter().map(|&v| v as f64).collect()),
        DataType::Int32 | DataType::Int16 | DataType::Uint16 | DataType::Int8 | DataType::Uint8 => {
            small(&|v| v.into())
        }
        DataType::Bool => small(&|v| f64::from(u8::from(v != 0))),
        DataType::Float16 => small(&|v| half(v as u16)),
        DataType::Bfloat16 => small(&|v| brain(v as u16)),
        _ => Err(unsupported(kind)),
    }
}

/// IEEE 754 half precision.
fn half(bits: u16) -> f64 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(e) - 15),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

/// The upper half of single precision.
fn brain(bits: u16) -> f64 {
    f32::from_bits(u32::from(bits) << 16).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_953_125), (1, 2f64.powi(-24))]
        {
            assert!((half(bits) - value).abs() < 1e-15, "{bits:x}");
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
        assert!((brain(0x3fc0) - 1.5).abs() < 1e-15);
    }

    #[test]
    fn sizes_are_checked_before_they_are_allocated() {
        let mut left = 100;
        let t = |dims: &[i64], raw: Vec<u8>| TensorProto {
            dims: dims.to_vec(),
            data_type: Some(DataType::Float as i32),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        };
        assert!(known(&t(&[2], vec![0; 8]), &mut left).is_ok());
        assert_eq!(left, 98);
        assert!(known(&t(&[2], vec![0; 7]), &mut left).unwrap_err().contains("2 elements"));
        assert!(known(&t(&[i64::MAX, i64::MAX], vec![0; 8]), &mut left).is_err());
        assert!(known(&t(&[-1], vec![0; 8]), &mut left).is_err());
        // No elements, and yet more than can be counted.
        assert!(known(&t(&[0, i64::MAX, 8], vec![]), &mut left).is_err());
        assert!(known(&t(&[0, 7], vec![]), &mut left).is_ok());
    }
}
