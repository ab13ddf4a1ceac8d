// 20 limbs of 13 bits. Twenty products of loose limbs fit 32 bits, so that a column is summed without a carry, and limbs are short
// enough for 24-bit multiply-adds.

//#render Fe
//#render fe_from_words
//#render fe_pack
//#render fe_add
//#render fe_sub
//#render fe_neg
//#render fe_mul
//#render fe_mul_add
//#render fe_sqr
//#render fe_sqr_add
//#render fe_mul_small
//#render fe_weak
//#render fe_half
//#render fe_normalize
//#render fe_has_zero_limbs
//#render fe_select
