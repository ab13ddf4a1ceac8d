// One field product a lane, laid out as programs are: what the worker is tried with on devices, because it compiles at once.

//#include "field/secp256k1"
//#include "seal"
//#constant WORKGROUP_SIZE

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

// A lane has 16 words behind the header's 4: a and b, any 256 bits each, the least significant word first. Its output is 1, a * b, and
// the seal.
@compute @workgroup_size(WORKGROUP_SIZE)
fn product(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let lanes = input[0];
    if lane >= lanes {
        return;
    }
    let stride = (lanes + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE * WORKGROUP_SIZE;
    var a: array<u32, 8>;
    var b: array<u32, 8>;
    for (var i = 0u; i < 8u; i++) {
        a[i] = input[4u + 16u * lane + i];
        b[i] = input[12u + 16u * lane + i];
    }
    let words = fe_to_words(fe_mul(fe_from_words(a), fe_from_words(b)));
    var seal = seal_add(seal_start(input[1], lane), 1u);
    output[lane] = 1u;
    for (var i = 0u; i < 8u; i++) {
        output[(1u + i) * stride + lane] = words[i];
        seal = seal_add(seal, words[i]);
    }
    output[9u * stride + lane] = seal;
}
