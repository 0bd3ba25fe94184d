// Fills one picture of a network's input from the frame on the device: the kernel of edge/runtimes/gpu/crop.py.
//
// Pixel centres lie at integers on both sides, as in edge/models/warp.py. Input pixel (u, v) shows the frame at
//     x = whole_x + part_x + xu * (u - out_width / 2) + xv * (v - out_height / 2)        (integer halves)
//     y = whole_y + part_y + yu * (u - out_width / 2) + yv * (v - out_height / 2)
// bilinearly, and target[channel][v][u] = pixel * scale + offset of the channel.
//
// Accuracy: the host finds the frame's place of the input's middle in float64 and hands over its whole pixel as an int
// and the rest as a float, so float32 holds only distances from there. For a whole 4K frame these are at most 2048
// pixels: slopes rounded to 24 bits and two roundings of the sum miss the place by less than 1/3000 pixel, which is 0.2
// grey levels at the sharpest edge there is. For the crop of a face or an eye it is ten to a hundred times less.
//
// Every a * b + c is written as fmaf, so nothing is left for a compiler to contract or not: the twin in tests/engines
// and this source compiled for a CPU get the same bits. Nothing here needs C++14, CUDA headers or shared memory.

// 32 x 4 threads. A warp is 32 neighbours in a row: it writes one whole 128-byte line of each plane, and its taps lie
// side by side in the frame. Four rows share most of theirs in the read-only cache. 128 threads of up to 32 registers
// let the one multiprocessor of the Nano hold all the threads it can (16 blocks, 2048 threads), which is what hides the
// latency of the loads; bigger blocks would wait for their slowest warp and idle more at the edge of a 120-pixel input.
#define BLOCK_THREADS 128

// Frame pixels from the middle beyond which every place is outside: a float this large still counts half pixels, an int
// holds it many times over, and cropkernel.py lets no frame be that large.
#define REACH 4194304.0f

struct Pixel {
    float blue, green, red;
};

// One pixel of a row of the frame; black where the place asked for was outside. It is read in either case, from the
// nearest place inside: without a branch all twelve loads of a thread are on their way before the first is waited for.
static __device__ __forceinline__ Pixel tap(const unsigned char *__restrict__ row, int x, bool inside)
{
    const unsigned char *bytes = row + 3 * x;
    const unsigned char blue = __ldg(bytes), green = __ldg(bytes + 1), red = __ldg(bytes + 2);
    Pixel pixel = {inside ? (float)blue : 0.0f, inside ? (float)green : 0.0f, inside ? (float)red : 0.0f};
    return pixel;
}

static __device__ __forceinline__ int nearest(int place, int size)
{
    return min(max(place, 0), size - 1);
}

static __device__ __forceinline__ float between(float first, float second, float share)
{
    return fmaf(share, second - first, first);
}

static __device__ __forceinline__ Pixel between(const Pixel &first, const Pixel &second, float share)
{
    Pixel pixel = {between(first.blue, second.blue, share), between(first.green, second.green, share),
                   between(first.red, second.red, share)};
    return pixel;
}

static __device__ __forceinline__ void fill(
    const unsigned char *__restrict__ frame,  // (height, width, 3) BGR, rows `pitch` bytes apart
    int width, int height, int pitch,
    float *__restrict__ target,  // (3, out_height, out_width)
    int out_width, int out_height,
    float xu, float xv, float yu, float yv,  // frame pixels per input pixel
    int whole_x, int whole_y, float part_x, float part_y,  // where in the frame the input's middle lies
    float scale, float offset0, float offset1, float offset2,  // per plane of the target
    int replicate, int red_first)
{
    const int u = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = blockIdx.y * blockDim.y + threadIdx.y;
    if (u >= out_width || v >= out_height) {
        return;
    }
    const float du = (float)(u - out_width / 2), dv = (float)(v - out_height / 2);
    // fmaxf and fminf drop a NaN, so a matrix that is not finite leads outside the frame and nowhere else
    const float x = fminf(fmaxf(fmaf(xu, du, fmaf(xv, dv, part_x)), -REACH), REACH);
    const float y = fminf(fmaxf(fmaf(yu, du, fmaf(yv, dv, part_y)), -REACH), REACH);
    const float left = floorf(x), upper = floorf(y);
    const float share_x = x - left, share_y = y - upper;

    // the four taps, each at the nearest place of the frame: no address beyond it is ever formed
    const int x0 = whole_x + (int)left, x1 = x0 + 1, y0 = whole_y + (int)upper, y1 = y0 + 1;
    const int near_x0 = nearest(x0, width), near_x1 = nearest(x1, width);
    const int near_y0 = nearest(y0, height), near_y1 = nearest(y1, height);
    const bool in_x0 = replicate || x0 == near_x0, in_x1 = replicate || x1 == near_x1;
    const bool in_y0 = replicate || y0 == near_y0, in_y1 = replicate || y1 == near_y1;
    const unsigned char *row0 = frame + (size_t)near_y0 * pitch, *row1 = frame + (size_t)near_y1 * pitch;
    const Pixel above = between(tap(row0, near_x0, in_x0 && in_y0), tap(row0, near_x1, in_x1 && in_y0), share_x);
    const Pixel below = between(tap(row1, near_x0, in_x0 && in_y1), tap(row1, near_x1, in_x1 && in_y1), share_x);
    const Pixel pixel = between(above, below, share_y);

    const int plane = out_width * out_height;
    float *out = target + v * out_width + u;
    out[0] = fmaf(red_first ? pixel.red : pixel.blue, scale, offset0);
    out[plane] = fmaf(pixel.green, scale, offset1);
    out[2 * plane] = fmaf(red_first ? pixel.blue : pixel.red, scale, offset2);
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS) crop(
    const unsigned char *__restrict__ frame, int width, int height, int pitch, float *__restrict__ target, int out_width,
    int out_height, float xu, float xv, float yu, float yv, int whole_x, int whole_y, float part_x, float part_y,
    float scale, float offset0, float offset1, float offset2, int replicate, int red_first)
{
    fill(frame, width, height, pitch, target, out_width, out_height, xu, xv, yu, yv, whole_x, whole_y, part_x, part_y,
         scale, offset0, offset1, offset2, replicate, red_first);
}

// What changes from frame to frame, as the host packs it (crop.py, RECORD).
struct Record {
    const unsigned char *frame;
    int width, height, pitch;
    float xu, xv, yu, yv;
    int whole_x, whole_y;
    float part_x, part_y;
    float scale, offset0, offset1, offset2;
    int replicate, red_first;
};

// The same in a CUDA graph, which keeps the arguments that a kernel had when it was captured: the record is read when the
// kernel runs, from device memory that the graph fills before. All threads read the same few words. On the Nano the compiler
// has to be told of the 16 blocks, or it takes 40 registers for a thread.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 530
#define FILLED __launch_bounds__(BLOCK_THREADS, 16)
#else
#define FILLED __launch_bounds__(BLOCK_THREADS)
#endif

extern "C" __global__ void FILLED crop_from(
    const Record *__restrict__ record, float *__restrict__ target, int out_width, int out_height)
{
    fill(record->frame, record->width, record->height, record->pitch, target, out_width, out_height, record->xu,
         record->xv, record->yu, record->yv, record->whole_x, record->whole_y, record->part_x, record->part_y,
         record->scale, record->offset0, record->offset1, record->offset2, record->replicate, record->red_first);
}
