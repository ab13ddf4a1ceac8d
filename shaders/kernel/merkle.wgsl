// Roots of complete subtrees, one a lane: MERKLE_LEAVES leaves, MERKLE_LEAVES - 1 nodes. A lane climbs by itself, so that no lane ever
// rests, where a workgroup that climbs together leaves half of its lanes behind at each level.

//#include "hash/digest"
//#include "hash/sha256"
//#constant WORKGROUP_SIZE
//#constant HEADER_WORDS
//#constant MERKLE_LEAVES

// Behind the header the leaves of each lane, 8 words each, the first byte highest.
@group(0) @binding(0) var<storage, read> input: array<u32>;
// The root's 8 words; 2 if two equal nodes were paired on the way, 1 if not; the seal.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
// Nodes that are still to be paired, a lane's word w at w * stride + lane.
@group(0) @binding(2) var<storage, read_write> scratch: array<u32>;

const NODES: u32 = MERKLE_LEAVES - 1u;

// A leaf or, behind the leaves, a node. Leaves are paired in order, then nodes in the order in which they arise.
fn child(lane: u32, stride: u32, index: u32) -> array<u32, 8> {
    if index < MERKLE_LEAVES {
        let begin = HEADER_WORDS + (lane * MERKLE_LEAVES + index) * 8u;
        return array<u32, 8>(
            input[begin], input[begin + 1u], input[begin + 2u], input[begin + 3u],
            input[begin + 4u], input[begin + 5u], input[begin + 6u], input[begin + 7u],
        );
    }
    let begin = (index - MERKLE_LEAVES) * 8u * stride + lane;
    return array<u32, 8>(
        scratch[begin], scratch[begin + stride], scratch[begin + 2u * stride], scratch[begin + 3u * stride],
        scratch[begin + 4u * stride], scratch[begin + 5u * stride], scratch[begin + 6u * stride], scratch[begin + 7u * stride],
    );
}

fn keep(lane: u32, stride: u32, index: u32, node: array<u32, 8>) {
    let begin = index * 8u * stride + lane;
    scratch[begin] = node[0];
    scratch[begin + stride] = node[1];
    scratch[begin + 2u * stride] = node[2];
    scratch[begin + 3u * stride] = node[3];
    scratch[begin + 4u * stride] = node[4];
    scratch[begin + 5u * stride] = node[5];
    scratch[begin + 6u * stride] = node[6];
    scratch[begin + 7u * stride] = node[7];
}

fn answer(lane: u32, stride: u32, root: array<u32, 8>, pairs: u32) {
    output[lane] = root[0];
    output[stride + lane] = root[1];
    output[2u * stride + lane] = root[2];
    output[3u * stride + lane] = root[3];
    output[4u * stride + lane] = root[4];
    output[5u * stride + lane] = root[5];
    output[6u * stride + lane] = root[6];
    output[7u * stride + lane] = root[7];
    output[8u * stride + lane] = pairs;
    output[9u * stride + lane] = seal_add(seal_add_digest(seal_start(input[1], lane), root), pairs);
}

fn stride_of(lanes: u32) -> u32 {
    return (lanes + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE * WORKGROUP_SIZE;
}

// Bitcoin's nodes.
@compute @workgroup_size(WORKGROUP_SIZE)
fn merkle_bitcoin(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let lanes = input[0];
    if lane >= lanes {
        return;
    }
    let stride = stride_of(lanes);
    var node = array<u32, 8>();
    var pairs = 1u;
    for (var i = 0u; i < NODES; i++) {
        let left = child(lane, stride, 2u * i);
        let right = child(lane, stride, 2u * i + 1u);
        if is_equal(left, right) {
            pairs = 2u;
        }
        node = sha256d_of_pair(left, right);
        keep(lane, stride, i, node);
    }
    answer(lane, stride, node, pairs);
}

// The nodes of RFC 6962.
@compute @workgroup_size(WORKGROUP_SIZE)
fn merkle_rfc6962(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let lanes = input[0];
    if lane >= lanes {
        return;
    }
    let stride = stride_of(lanes);
    var node = array<u32, 8>();
    for (var i = 0u; i < NODES; i++) {
        node = sha256_of_prefixed_pair(child(lane, stride, 2u * i), child(lane, stride, 2u * i + 1u));
        keep(lane, stride, i, node);
    }
    answer(lane, stride, node, 1u);
}

fn is_equal(a: array<u32, 8>, b: array<u32, 8>) -> bool {
    let low = (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]);
    let high = (a[4] ^ b[4]) | (a[5] ^ b[5]) | (a[6] ^ b[6]) | (a[7] ^ b[7]);
    return (low | high) == 0u;
}
