"""The C core as Cortex-M4 machine code on this computer: bits, instructions and estimated cycles.

The modules of this package need the packages of ``bitwave[verify]``; importing one without them raises
`MissingPackage`, so they are imported where they are used.
"""
