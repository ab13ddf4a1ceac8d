// 9 limbs of 29 bits. Nine products of loose limbs fit 64 bits, so that a column is summed without a carry.

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
