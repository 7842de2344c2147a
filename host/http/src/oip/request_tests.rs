//! Bodies as clients of the protocol send them, and as nobody should.

use std::time::Duration;

use breakwater_operations::TensorData;
use serde_json::json;

use super::*;

fn framed(json: &Value, raw: &[u8]) -> (HeaderMap, Bytes) {
    let mut body = json.to_string().into_bytes();
    let mut headers = HeaderMap::new();
    headers.insert(LENGTH_HEADER, body.len().into());
    body.extend_from_slice(raw);
    (headers, body.into())
}

fn code(headers: &HeaderMap, body: impl Into<Bytes>) -> String {
    read(headers, body.into()).unwrap_err().code.into_owned()
}

fn one(input: Value) -> Value {
    json!({ "inputs": [input] })
}

#[test]
fn a_json_request_is_read() {
    let body = json!({
        "id": "42",
        "parameters": { "binary_data_output": true, "timeout": 2_000_000, "sequence_note": "unknown ones say nothing to us" },
        "inputs": [
            { "name": "a", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2.5], [3, 4]] },
            { "name": "b", "shape": [1], "datatype": "BYTES", "parameters": { "content_type": "base64" }, "data": ["cGljdHVy"] },
        ],
        "outputs": [{ "name": "x" }, { "name": "y", "parameters": { "binary_data": false } }],
    });
    let request = read(&HeaderMap::new(), body.to_string().into()).unwrap();
    assert_eq!((request.id.as_deref(), request.timeout), (Some("42"), Some(Duration::from_secs(2))));
    assert_eq!(
        request.inputs,
        [
            Tensor::new("a", vec![2, 2], TensorData::Fp32(vec![1.0, 2.5, 3.0, 4.0])).unwrap(),
            Tensor::new("b", vec![1], TensorData::Bytes(vec![Bytes::from_static(b"pictur")])).unwrap(),
        ]
    );
    assert_eq!(request.wanted, Wanted { outputs: vec![("x".into(), true), ("y".into(), false)], binary: true });
}

#[test]
fn tensors_behind_the_json_belong_to_the_inputs_in_their_order() {
    let body = json!({ "inputs": [
        { "name": "a", "shape": [2], "datatype": "FP32", "parameters": { "binary_data_size": 8 } },
        { "name": "b", "shape": [1], "datatype": "INT64", "data": [7] },
        { "name": "c", "shape": [1], "datatype": "BYTES", "parameters": { "binary_data_size": 6 } },
    ] });
    let raw = [&1.0f32.to_le_bytes()[..], &2.0f32.to_le_bytes(), b"\x02\0\0\0hi"].concat();
    let (headers, body) = framed(&body, &raw);
    let request = read(&headers, body).unwrap();
    let values: Vec<_> = request.inputs.into_iter().map(Tensor::into_data).collect();
    assert_eq!(values, [TensorData::Fp32(vec![1.0, 2.0]), TensorData::Int64(vec![7]), TensorData::Bytes(vec![Bytes::from_static(b"hi")])]);
}

#[test]
fn sizes_that_do_not_add_up_are_refused() {
    let input = |size: u64| one(json!({ "name": "a", "shape": [2], "datatype": "FP32", "parameters": { "binary_data_size": size } }));
    for (size, raw, expected) in [
        (8, 7, "tensor.malformed"),
        (8, 9, "tensor.malformed"),
        (7, 7, "tensor.malformed"),
        (4, 4, "tensor.shape"),
        (u64::MAX, 8, "tensor.malformed"),
    ] {
        let (headers, body) = framed(&input(size), &vec![0; raw]);
        assert_eq!(code(&headers, body), expected, "{size} {raw}");
    }
    assert_eq!(code(&HeaderMap::new(), input(8).to_string()), "tensor.malformed");
    for length in ["99999", "-1", "many", ""] {
        let mut headers = HeaderMap::new();
        headers.insert(LENGTH_HEADER, length.parse().unwrap());
        assert_eq!(code(&headers, "{}"), "request.header-invalid", "{length}");
    }
}

#[test]
fn what_cannot_be_meant_is_named() {
    let good = json!({ "name": "a", "shape": [1], "datatype": "FP32", "data": [1] });
    let with = |name: &str, value: Value| {
        let mut input = good.clone();
        input[name] = value;
        one(input)
    };
    let many = |count: usize| -> Vec<_> {
        (0..count).map(|index| json!({ "name": index.to_string(), "shape": [1], "datatype": "FP32", "data": [1] })).collect()
    };
    assert!(read(&HeaderMap::new(), json!({ "inputs": many(MAX_TENSORS) }).to_string().into()).is_ok());
    for (body, expected) in [
        (json!({}), "request.field-invalid"),
        (json!([]), "request.field-invalid"),
        (json!({ "inputs": [] }), "request.field-invalid"),
        (json!({ "inputs": [good, good] }), "request.field-invalid"),
        (json!({ "inputs": [good], "inptus": [] }), "request.field-invalid"),
        (json!({ "inputs": many(MAX_TENSORS + 1) }), "request.field-invalid"),
        (json!({ "inputs": [good], "id": "x".repeat(MAX_NAME + 1) }), "request.field-invalid"),
        (json!({ "inputs": [good], "parameters": { "timeout": -1 } }), "request.field-invalid"),
        (json!({ "inputs": [good], "parameters": { "binary_data_output": 1 } }), "request.field-invalid"),
        (json!({ "inputs": [good], "outputs": [{ "name": "x", "parameters": { "classification": 3 } }] }), "tensor.parameter-unsupported"),
        (with("parameters", json!({ "shared_memory_region": "r" })), "tensor.parameter-unsupported"),
        (with("parameters", json!({ "binary_data_size": 4 })), "tensor.malformed"),
        (with("name", json!("")), "request.field-invalid"),
        (with("datatype", json!("fp32")), "tensor.type"),
        (with("shape", json!([-1])), "tensor.shape"),
        (with("shape", json!([2])), "tensor.shape"),
        (with("shape", json!([1.5])), "request.field-invalid"),
        (with("data", json!(["a"])), "tensor.malformed"),
        (with("data", json!(null)), "tensor.malformed"),
        (with("data", json!([null])), "request.field-invalid"),
    ] {
        assert_eq!(code(&HeaderMap::new(), body.to_string()), expected, "{body}");
    }
    for text in ["", "{", r#"{"inputs": []} {}"#, "\u{0}"] {
        assert_eq!(code(&HeaderMap::new(), text), "request.json-invalid", "{text}");
    }
}

#[test]
fn clients_that_name_no_type_are_understood() {
    let check = |pairs: &[(&'static str, &str)]| {
        let headers: HeaderMap = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check_type(&headers).is_ok()
    };
    assert!(
        check(&[])
            && check(&[("content-type", "application/json; charset=utf-8")])
            && check(&[("content-type", "application/octet-stream")])
    );
    assert!(check(&[("content-encoding", "identity")]));
    for refused in [[("content-type", "text/plain")], [("content-encoding", "gzip")], [("content-type", "multipart/form-data; boundary=b")]]
    {
        assert!(!check(&refused), "{refused:?}");
    }
}
