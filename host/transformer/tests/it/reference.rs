//! CLIP in plain loops and double precision.

use breakwater_transformer::config::{Activation, EncoderConfig};

use crate::model::Model;

type Rows = Vec<Vec<f64>>;

/// The embedding of an image of normalised planes.
pub(crate) fn image(model: &Model, planes: &[f32]) -> Vec<f64> {
    let vision = model.config.vision.as_ref().unwrap();
    let (edge, size, width) = (vision.edge, vision.patch, vision.encoder.width);
    let at = "vision_model.embeddings";
    let (kernel, positions) = (model.get(&format!("{at}.patch_embedding.weight")), model.get(&format!("{at}.position_embedding.weight")));
    let own = model.get(&format!("{at}.class_embedding"));
    let across = edge / size;
    let mut rows = vec![own.iter().map(|value| f64::from(*value)).collect::<Vec<_>>()];
    for (down, right) in (0..across).flat_map(|down| (0..across).map(move |right| (down, right))) {
        let column = |column: usize| {
            let mut sum = 0.0;
            for (plane, y, x) in (0..3).flat_map(|p| (0..size).flat_map(move |y| (0..size).map(move |x| (p, y, x)))) {
                let pixel = planes[(plane * edge + down * size + y) * edge + right * size + x];
                sum += f64::from(pixel) * f64::from(kernel[((column * 3 + plane) * size + y) * size + x]);
            }
            sum
        };
        rows.push((0..width).map(column).collect());
    }
    for (row, position) in rows.iter_mut().zip(positions.chunks(width)) {
        row.iter_mut().zip(position).for_each(|(value, position)| *value += f64::from(*position));
    }
    let rows = norm(model, &rows, "vision_model.pre_layrnorm", vision.encoder.epsilon);
    let rows = layers(model, rows, "vision_model", &vision.encoder, false);
    let first = norm(model, &rows[..1], "vision_model.post_layernorm", vision.encoder.epsilon);
    dense(model, &first, "visual_projection").remove(0)
}

/// The embedding of a text whose last token is the one that ends it.
pub(crate) fn text(model: &Model, tokens: &[u32]) -> Vec<f64> {
    let text = model.config.text.as_ref().unwrap();
    let width = text.encoder.width;
    let row = |name: &str, index: usize| model.get(&format!("text_model.embeddings.{name}.weight"))[index * width..][..width].to_vec();
    let rows = tokens.iter().enumerate().map(|(position, token)| {
        let both = row("token_embedding", *token as usize).into_iter().zip(row("position_embedding", position));
        both.map(|(a, b)| f64::from(a) + f64::from(b)).collect()
    });
    let rows = layers(model, rows.collect(), "text_model", &text.encoder, true);
    let last = norm(model, &rows[rows.len() - 1..], "text_model.final_layer_norm", text.encoder.epsilon);
    dense(model, &last, "text_projection").remove(0)
}

fn layers(model: &Model, mut rows: Rows, tower: &str, config: &EncoderConfig, causal: bool) -> Rows {
    for number in 0..config.layers {
        let name = |part: &str| format!("{tower}.encoder.layers.{number}.{part}");
        let normed = norm(model, &rows, &name("layer_norm1"), config.epsilon);
        let seen = attention(model, &normed, &name("self_attn"), config, causal);
        add(&mut rows, &dense(model, &seen, &name("self_attn.out_proj")));
        let mut inner = dense(model, &norm(model, &rows, &name("layer_norm2"), config.epsilon), &name("mlp.fc1"));
        inner.iter_mut().flatten().for_each(|value| *value = activation(*value, config.activation));
        add(&mut rows, &dense(model, &inner, &name("mlp.fc2")));
    }
    rows
}

fn attention(model: &Model, rows: &Rows, name: &str, config: &EncoderConfig, causal: bool) -> Rows {
    let [queries, keys, values] = ["q_proj", "k_proj", "v_proj"].map(|part| dense(model, rows, &format!("{name}.{part}")));
    let head = config.width / config.heads;
    let mut out = vec![vec![0.0; config.width]; rows.len()];
    for (start, query) in (0..config.width).step_by(head).flat_map(|start| (0..rows.len()).map(move |query| (start, query))) {
        let tokens = if causal { query + 1 } else { rows.len() };
        let score = |key: usize| (start..start + head).map(|c| queries[query][c] * keys[key][c]).sum::<f64>() / (head as f64).sqrt();
        let scores: Vec<f64> = (0..tokens).map(score).collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
        for column in start..start + head {
            out[query][column] = (0..tokens).map(|key| (scores[key] - most).exp() / sum * values[key][column]).sum();
        }
    }
    out
}

fn activation(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + error_function(x / 2.0_f64.sqrt())),
    }
}

/// By its series, which is good where it is needed; 1 beyond.
fn error_function(x: f64) -> f64 {
    if x.abs() > 4.5 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn norm(model: &Model, rows: &[Vec<f64>], name: &str, epsilon: f32) -> Rows {
    let (scale, shift) = (model.get(&format!("{name}.weight")), model.get(&format!("{name}.bias")));
    let row = |row: &Vec<f64>| {
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
        let both = scale.iter().zip(shift);
        row.iter().zip(both).map(|(value, (scale, shift))| (value - mean) * factor * f64::from(*scale) + f64::from(*shift)).collect()
    };
    rows.iter().map(row).collect()
}

fn dense(model: &Model, rows: &[Vec<f64>], name: &str) -> Rows {
    let weights = model.get(&format!("{name}.weight"));
    let bias = model.tensors.get(&format!("{name}.bias"));
    let column = |row: &[f64], index: usize| {
        let weights = &weights[index * row.len()..][..row.len()];
        let sum: f64 = row.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum();
        sum + bias.map_or(0.0, |bias| f64::from(bias.numbers[index]))
    };
    rows.iter().map(|row| (0..weights.len() / row.len()).map(|index| column(row, index)).collect()).collect()
}

fn add(rows: &mut Rows, more: &Rows) {
    for (value, more) in rows.iter_mut().flatten().zip(more.iter().flatten()) {
        *value += more;
    }
}
