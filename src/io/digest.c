/* digest.c: SHA-256, MD5 and CRC-32C.
 *
 * Both hashes take 64-byte blocks; the last one is padded with 0x80, zeros
 * and the length in bits (big-endian in SHA-256, little-endian in MD5).
 * Sources: FIPS 180-4; RFC 1321; RFC 3720, appendix B.4 (CRC-32C). */
#include "io/digest.h"

#include "base/file.h"
#include "io/raw.h"

#include <string.h>

enum { BLOCK = 64 };

/* First 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
    0x428a2f98,
    0x71374491,
    0xb5c0fbcf,
    0xe9b5dba5,
    0x3956c25b,
    0x59f111f1,
    0x923f82a4,
    0xab1c5ed5,
    0xd807aa98,
    0x12835b01,
    0x243185be,
    0x550c7dc3,
    0x72be5d74,
    0x80deb1fe,
    0x9bdc06a7,
    0xc19bf174,
    0xe49b69c1,
    0xefbe4786,
    0x0fc19dc6,
    0x240ca1cc,
    0x2de92c6f,
    0x4a7484aa,
    0x5cb0a9dc,
    0x76f988da,
    0x983e5152,
    0xa831c66d,
    0xb00327c8,
    0xbf597fc7,
    0xc6e00bf3,
    0xd5a79147,
    0x06ca6351,
    0x14292967,
    0x27b70a85,
    0x2e1b2138,
    0x4d2c6dfc,
    0x53380d13,
    0x650a7354,
    0x766a0abb,
    0x81c2c92e,
    0x92722c85,
    0xa2bfe8a1,
    0xa81a664b,
    0xc24b8b70,
    0xc76c51a3,
    0xd192e819,
    0xd6990624,
    0xf40e3585,
    0x106aa070,
    0x19a4c116,
    0x1e376c08,
    0x2748774c,
    0x34b0bcb5,
    0x391c0cb3,
    0x4ed8aa4a,
    0x5b9cca4f,
    0x682e6ff3,
    0x748f82ee,
    0x78a5636f,
    0x84c87814,
    0x8cc70208,
    0x90befffa,
    0xa4506ceb,
    0xbef9a3f7,
    0xc67178f2,
};

/* ... and of the square roots of the first 8. */
static const uint32_t sha256_start[8] = {
    0x6a09e667,
    0xbb67ae85,
    0x3c6ef372,
    0xa54ff53a,
    0x510e527f,
    0x9b05688c,
    0x1f83d9ab,
    0x5be0cd19,
};

/* 2^32 |sin(i + 1)| */
static const uint32_t md5_t[64] = {
    0xd76aa478,
    0xe8c7b756,
    0x242070db,
    0xc1bdceee,
    0xf57c0faf,
    0x4787c62a,
    0xa8304613,
    0xfd469501,
    0x698098d8,
    0x8b44f7af,
    0xffff5bb1,
    0x895cd7be,
    0x6b901122,
    0xfd987193,
    0xa679438e,
    0x49b40821,
    0xf61e2562,
    0xc040b340,
    0x265e5a51,
    0xe9b6c7aa,
    0xd62f105d,
    0x02441453,
    0xd8a1e681,
    0xe7d3fbc8,
    0x21e1cde6,
    0xc33707d6,
    0xf4d50d87,
    0x455a14ed,
    0xa9e3e905,
    0xfcefa3f8,
    0x676f02d9,
    0x8d2a4c8a,
    0xfffa3942,
    0x8771f681,
    0x6d9d6122,
    0xfde5380c,
    0xa4beea44,
    0x4bdecfa9,
    0xf6bb4b60,
    0xbebfbc70,
    0x289b7ec6,
    0xeaa127fa,
    0xd4ef3085,
    0x04881d05,
    0xd9d4d039,
    0xe6db99e5,
    0x1fa27cf8,
    0xc4ac5665,
    0xf4292244,
    0x432aff97,
    0xab9423a7,
    0xfc93a039,
    0x655b59c3,
    0x8f0ccc92,
    0xffeff47d,
    0x85845dd1,
    0x6fa87e4f,
    0xfe2ce6e0,
    0xa3014314,
    0x4e0811a1,
    0xf7537e82,
    0xbd3af235,
    0x2ad7d2bb,
    0xeb86d391,
};

static const uint32_t md5_start[4] = {
    0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
static const uint8_t md5_shift[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t left_by(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t right_by(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
        p[3];
}

static void sha256_block(uint32_t state[8], const uint8_t *p)
{
    uint32_t w[64];
    uint32_t s[8];
    for (size_t i = 0; i < 16; i++)
        w[i] = be32(p + 4 * i);
    for (size_t i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15];
        const uint32_t b = w[i - 2];
        w[i] = w[i - 16] + (right_by(a, 7) ^ right_by(a, 18) ^ a >> 3) +
            w[i - 7] + (right_by(b, 17) ^ right_by(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (size_t i = 0; i < 64; i++) {
        const uint32_t e = s[4];
        const uint32_t a = s[0];
        const uint32_t t1 = s[7] +
            (right_by(e, 6) ^ right_by(e, 11) ^ right_by(e, 25)) +
            ((e & s[5]) ^ (~e & s[6])) + sha256_k[i] + w[i];
        const uint32_t t2 =
            (right_by(a, 2) ^ right_by(a, 13) ^ right_by(a, 22)) +
            ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += s[i];
}

static void md5_block(uint32_t state[8], const uint8_t *p)
{
    uint32_t a = state[0];
    uint32_t b = state[1];
    uint32_t c = state[2];
    uint32_t d = state[3];
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t round = i / 16;
        uint32_t f = c ^ (b | ~d);
        uint32_t word = 7 * i % 16;
        if (round == 0) {
            f = (b & c) | (~b & d);
            word = i;
        } else if (round == 1) {
            f = (d & b) | (~d & c);
            word = (5 * i + 1) % 16;
        } else if (round == 2) {
            f = b ^ c ^ d;
            word = (3 * i + 5) % 16;
        }
        const uint32_t sum = a + f + md5_t[i] + lmb_le32(p + 4 * word);
        a = d;
        d = c;
        c = b;
        b += left_by(sum, md5_shift[round][i % 4]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void add_block(lmb_digest *d, const uint8_t *p)
{
    if (d->kind == LMB_SHA256)
        sha256_block(d->state, p);
    else
        md5_block(d->state, p);
}

void lmb_digest_init(lmb_digest *d, lmb_digest_kind kind)
{
    *d = (lmb_digest){.kind = kind};
    if (kind == LMB_SHA256)
        memcpy(d->state, sha256_start, sizeof sha256_start);
    else
        memcpy(d->state, md5_start, sizeof md5_start);
}

void lmb_digest_add(lmb_digest *d, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    size_t have = (size_t)(d->length % BLOCK);
    d->length += size;
    if (have > 0) {
        const size_t n = size < BLOCK - have ? size : BLOCK - have;
        memcpy(d->block + have, p, n);
        if (have + n < BLOCK)
            return;
        add_block(d, d->block);
        p += n;
        size -= n;
    }
    for (; size >= BLOCK; size -= BLOCK, p += BLOCK)
        add_block(d, p);
    if (size > 0)
        memcpy(d->block, p, size);
}

void lmb_digest_text(lmb_digest *d, char out[LMB_DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    static const uint8_t padding[BLOCK] = {0x80};
    const bool sha = d->kind == LMB_SHA256;
    uint8_t length[8];
    lmb_put_le64(length, d->length * 8);
    if (sha)
        lmb_swap_elements(length, 1, sizeof length);
    const size_t used = (size_t)(d->length % BLOCK);
    lmb_digest_add(d, padding, used < 56 ? 56 - used : 120 - used);
    lmb_digest_add(d, length, sizeof length);
    const size_t count = sha ? 32 : 16;
    for (size_t i = 0; i < count; i++) {
        /* SHA-256 writes each word's high byte first, MD5 the low one. */
        const unsigned shift = 8 * (unsigned)(sha ? 3 - i % 4 : i % 4);
        const uint32_t byte = d->state[i / 4] >> shift & 0xff;
        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
    out[2 * count] = '\0';
}

lmb_status lmb_digest_file(
    const char *path, lmb_digest_kind kind, char out[LMB_DIGEST_TEXT])
{
    lmb_file file = {0};
    lmb_digest d;
    LMB_TRY(lmb_file_open(path, &file));
    lmb_digest_init(&d, kind);
    lmb_digest_add(&d, file.bytes, file.size);
    lmb_digest_text(&d, out);
    lmb_file_close(&file);
    return LMB_OK;
}

lmb_digest_kind lmb_digest_kind_of(const char *hex)
{
    const size_t n = strspn(hex, "0123456789abcdefABCDEF");
    if (hex[n] != '\0')
        return (lmb_digest_kind)0;
    return n == 64 ? LMB_SHA256 : n == 32 ? LMB_MD5 : (lmb_digest_kind)0;
}

uint32_t lmb_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    /* table[i]: four bits at a time, reflected polynomial 0x82f63b78. */
    static const uint32_t table[16] = {
        0x00000000,
        0x105ec76f,
        0x20bd8ede,
        0x30e349b1,
        0x417b1dbc,
        0x5125dad3,
        0x61c69362,
        0x7198540d,
        0x82f63b78,
        0x92a8fc17,
        0xa24bb5a6,
        0xb21572c9,
        0xc38d26c4,
        0xd3d3e1ab,
        0xe330a81a,
        0xf36e6f75,
    };
    const uint8_t *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
