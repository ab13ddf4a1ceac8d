// The limbs of the base field, with digits in them.

//#render Sc
//#render sc_from_words
//#render sc_pack
//#render sc_mul
//#render sc_reduce
//#render sc_select
//#render glv_split
